"""The arguments of every method: the paper's, or its source's where the paper says nothing."""

# momentum_end is where the cosine ends; a constant coefficient does not read it.
_EMA = {'momentum': 0.996, 'momentum_schedule': 'constant', 'momentum_end': 1.0}  # Table 3
_COSINE = {**_EMA, 'momentum_schedule': 'cosine'}  # the sources' own
# The authors' demonstration on CIFAR-10: a small data set needs no queue of 65,536.
_QUEUE = {**_EMA, 'temperature': 0.1, 'queue_size': 4096, 'momentum': 0.99}


def arguments(name: str) -> dict:
    """A method's arguments, {} for a method of the user's own."""
    bound = {'temperature': 0.1, 'block_size': 0}
    return {
        'sdmi': {
            **bound,
            'objective': 'dv',
            'marginal': 'bound',
            'marginal_weight': 1.0,
            'predictor': False,
        },
        'simsiam': {**bound, 'objective': 'cosine', 'predictor': True},
        'byol': _EMA,
        'bgrl': {**_COSINE, 'momentum': 0.99},
        'mocov1': _QUEUE,
        'mocov2': _QUEUE,
        'mocov3': {**bound, **_EMA, 'objective': 'infonce', 'predictor': True},
        'dino': {
            **_COSINE,
            'prototypes': 4096,
            'student_temperature': 0.1,
            'teacher_temperature': 0.07,
            'first_teacher_temperature': 0.04,
            'teacher_warmup_epochs': 30,
            'centre_momentum': 0.9,
            'head_norm': True,
            'frozen_epochs': 1,
            'clip': 3.0,
            'final_weight_decay': 0.4,
        },
        'jmi': {
            **bound,
            'objective': 'dv',
            'marginal': 'bound',
            'marginal_weight': 1.0,
            'critic': 'cosine',
        },
        'simclr': {**bound, 'objective': 'nt_xent', 'head_norm': True},
        'barlow': {'redundancy_weight': 0.005, 'loss_scale': 1.0},
        'vicreg': {
            'invariance_weight': 25.0,
            'variance_weight': 25.0,
            'covariance_weight': 1.0,
            'eps': 1e-4,
        },
        'wmse': {'slice_size': 128, 'iterations': 1, 'eps': 0.0},
        'swav': {
            'prototypes': 300,
            'queue_size': 3584,
            'queue_epoch': 15,
            'temperature': 0.1,
            'epsilon': 0.05,
            'iterations': 3,
            'frozen_epochs': 1,
        },
        'mec': {**_COSINE, 'distortion': 64.0, 'order': 4, 'warmup_epochs': 10.0},
        'tico': {**_COSINE, 'momentum': 0.99, 'decay': 0.9, 'weight': 8.0},
        'empssl': {'invariance_weight': 200.0, 'distortion': 0.2},
        'corinfomax': {'invariance_weight': 250.0, 'decay': 0.01, 'eps': 1e-8},
        'mmi': {
            **_COSINE,
            'form': 'difference',
            'order': 4,
            'rescale': True,
            'eigenvalue_momentum': 0.99,
            'eps': 1e-3,
            'momentum_encoder': False,
        },
    }.get(name, {})
