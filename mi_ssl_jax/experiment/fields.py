"""The table of a configuration's fields: unit, range, and whether a resumed run may change it.

configs/base/common.py gives the fields their defaults.
"""

import math
from typing import Any, NamedTuple

from mi_ssl_jax.figures.label_free import FIGURES


class Field(NamedTuple):
    """The values that a field accepts."""

    unit: str  # its unit, or what it says
    # 'int', 'float', 'bool', 'str', 'widths', 'numbers', 'epochs', 'names' or 'open' (a group)
    kind: str
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()
    free: bool = False  # may differ between a run and its resumption: no step computes with it
    began: bool = False  # a run goes on with the value it began with, whatever it is told now


MANY = 10**9  # more steps, epochs or examples than anything here takes
LARGEST = 1e6  # more than any weight or strength
FLOAT32 = 3.4e38  # the largest that float32 holds
WIDEST = 1_000_000  # units of a layer
PROBABILITY = (0, 1)
BELOW_ONE = math.nextafter(1, 0)

FIELDS: dict[str, Field] = {
    'seed': Field('of the first member; the others follow it', 'int', 0, 2**32 - 1),
    'seeds': Field('independent copies trained side by side', 'int', 1, 10_000),
    'batch_size': Field('examples per step, over all devices', 'int', 1, MANY),
    'epochs': Field('passes over the data; for SDMI, per phase', 'int', 1, MANY, free=True),
    'warmup_epochs': Field('epochs', 'int', 0, MANY),
    'lr': Field('at batch_size; with lr_scaling, at 256 examples', 'float', 0, FLOAT32),
    'lr_scaling': Field(
        'scales lr by batch_size / 256 or its root', 'str', choices=('none', 'linear', 'sqrt')
    ),
    'weight_decay': Field('coupled (L2); decoupled with adamw', 'float', 0, FLOAT32),
    'schedule.name': Field('after the warm-up', 'str', choices=('cosine', 'steps')),
    'schedule.start': Field('of the warm-up, as a fraction of lr', 'float', 0, 1),
    'schedule.final': Field('of the cosine, as a fraction of lr', 'float', 0, 1),
    'schedule.drops': Field('of steps: epochs from which on it drops', 'epochs', 1, MANY),
    'schedule.drop_factor': Field('of steps: factor of each drop', 'float', 0, 1),
    'period': Field('steps before the phases alternate; 0 = a whole pass', 'int', 0, MANY),
    'log_every': Field('steps', 'int', 1, MANY),
    'devices': Field('number; 0 = all local ones', 'int', 0, MANY, free=True),
    'accumulate': Field('pieces of a batch per device (gradient caching)', 'int', 1, MANY),
    'check_replicas': Field('compares the devices at every log point', 'bool', free=True),
    'mode': Field('how steps run; auto chooses', 'str', choices=('auto', 'scan', 'apart', 'loop')),
    'export': Field(
        'the trained encoder, into exported/ when training ends',
        'str',
        choices=('none', 'timm', 'torchvision', 'npz', 'stablehlo'),
        free=True,
    ),
    'wandb': Field("Weights & Biases project; '' = none", 'str', free=True),
    'method': Field('its name and arguments', 'open'),
    'optimizer.name': Field('optimiser', 'str', choices=('sgd', 'adam', 'adamw', 'lars')),
    'optimizer.momentum': Field('of sgd and lars', 'float', 0, BELOW_ONE),
    'optimizer.nesterov': Field("of sgd and lars: Nesterov's momentum", 'bool'),
    'optimizer.lars.eta': Field('trust coefficient', 'float', math.ulp(0.0), 1),
    'optimizer.lars.ratio': Field(
        '|p| / |g + wd p|; parts: |p| / (|g| + wd |p|)', 'str', choices=('whole', 'parts')
    ),
    'optimizer.lars.clip': Field('eta times the ratio is at most the learning rate', 'bool'),
    'optimizer.lars.vectors': Field('biases and batch norms are adapted and decay too', 'bool'),
    'data.name': Field('a data set, or its TFDS name', 'str'),
    'data.dir': Field("folder; '' = TFDS_DATA_DIR, else TFDS's default", 'str', free=True),
    'data.short_side': Field('px; 0 = no resizing', 'int', 0, 65_536),
    'data.streamed': Field('read from disk while training', 'bool'),
    'data.canvas': Field('px, side of streamed images', 'int', 0, 65_536),
    'data.workers': Field('decoding processes; 0 = threads', 'int', 0, 4096, free=True),
    'data.options': Field('options of generated data', 'open'),
    'data.limit': Field('training examples; 0 = all', 'int', 0, MANY),
    'views.name': Field('view pipeline', 'str'),
    'views.options': Field('options of the pipeline', 'open'),
    'net.name': Field('backbone', 'str'),
    'net.projector': Field('widths; () = none', 'widths', 1, WIDEST),
    'net.predictor': Field('hidden widths, where a method has one', 'widths', 1, WIDEST),
    'net.dtype': Field(
        'of computation; auto: bfloat16 on accelerators',
        'str',
        choices=('float32', 'bfloat16', 'auto'),
    ),
    'net.convolution': Field(
        'on CPUs, in float32', 'str', choices=('fast', 'accurate', 'xla'), began=True
    ),
    'net.weights': Field(
        "to begin with: a .safetensors, a folder or a run; 'none' = random ones", 'str'
    ),
    'net.batch_norm': Field('batch statistics over', 'str', choices=('global', 'device')),
    'net.options': Field('options of each backbone', 'open'),
    'mi.every': Field('epochs', 'int', 1, MANY),
    'mi.every_steps': Field('steps between evaluations; 0 = by epochs', 'int', 0, MANY),
    'mi.temperature': Field('of the cosine critic', 'float', 1e-6, LARGEST),
    'mi.examples': Field('held-out examples; 0 = all', 'int', 0, MANY),
    'mi.batch_size': Field('examples encoded at a time', 'int', 1, MANY),
    'mi.label_free': Field(
        'figures measured beside it; () = none', 'names', choices=tuple(FIGURES), free=True
    ),
    'probe.online': Field('trains a linear probe alongside', 'bool'),
    'probe.at_end': Field('probes when training ends', 'bool', free=True),
    'probe.labels': Field("'all', '1%', '10%', 'N a class'", 'names', free=True),
    'probe.knn_neighbours': Field('neighbours that vote', 'int', 1, MANY, free=True),
    'probe.knn_temperature': Field('of kNN', 'float', 1e-6, LARGEST, free=True),
    'checkpoint.minutes': Field('minutes between checkpoints', 'float', 0, MANY, free=True),
    'checkpoint.epochs': Field(
        'epochs between checkpoints; 0 = by time only', 'int', 0, MANY, free=True
    ),
    'checkpoint.keep': Field('number of recent checkpoints kept', 'int', 1, MANY, free=True),
    'checkpoint.best': Field(
        'figure that selects the best',
        'str',
        choices=('mi', 'online_top1', *FIGURES, 'none'),
        free=True,
    ),
    'collapse.stop': Field(
        'after so many collapsed evaluations; 0 = never', 'int', 0, MANY, free=True
    ),
    'rollback.times': Field('roll-backs at most', 'int', 0, MANY, free=True),
    'rollback.factor': Field('factor on the learning rate', 'float', math.ulp(0.0), 1, free=True),
}

# Arguments that methods of this package share by name.
ARGUMENTS: dict[str, Field] = {
    'temperature': Field('of the critic', 'float', 1e-6, LARGEST),
    'student_temperature': Field('', 'float', 1e-6, LARGEST),
    'teacher_temperature': Field('', 'float', 1e-6, LARGEST),
    'first_teacher_temperature': Field('', 'float', 1e-6, LARGEST),
    'momentum': Field('EMA coefficient', 'float', 0, 1),
    'momentum_end': Field('EMA coefficient at the end of its cosine', 'float', *PROBABILITY),
    'loss_scale': Field('factor of the loss', 'float', math.ulp(0.0), LARGEST),
    'centre_momentum': Field('EMA coefficient', 'float', 0, 1),
    'eigenvalue_momentum': Field('EMA coefficient', 'float', 0, 1),
    'decay': Field('of the running second moment', 'float', 0, 1),
    'queue_size': Field('embeddings; 0 = none', 'int', 0, MANY),
    'block_size': Field('rows of scores held at a time; 0 = all', 'int', 0, MANY),
    'prototypes': Field('', 'int', 1, MANY),
    'slice_size': Field('embeddings', 'int', 1, MANY),
    'iterations': Field('', 'int', 1, 10_000),
    'order': Field('of the series', 'int', 1, 10_000),
    'epsilon': Field('', 'float', math.ulp(0.0), LARGEST),
    'redundancy_weight': Field('', 'float', 0, LARGEST),
    'invariance_weight': Field('', 'float', 0, LARGEST),
    'variance_weight': Field('', 'float', 0, LARGEST),
    'covariance_weight': Field('', 'float', 0, LARGEST),
    'marginal_weight': Field('', 'float', 0, LARGEST),
    'weight': Field('', 'float', 0, LARGEST),
    'eps': Field('', 'float', 0, LARGEST),
    'distortion': Field('', 'float', math.ulp(0.0), LARGEST),
    'clip': Field("largest norm of a parameter's gradient; 0 = none", 'float', 0, LARGEST),
    'final_weight_decay': Field('', 'float', 0, LARGEST),
    'warmup_epochs': Field('epochs', 'float', 0, MANY),
    'teacher_warmup_epochs': Field('epochs', 'float', 0, MANY),
    'frozen_epochs': Field('epochs', 'float', 0, MANY),
    'queue_epoch': Field('epoch from which the queue is used', 'float', 0, MANY),
    'predictor': Field('', 'bool'),
    'head_norm': Field('', 'bool'),
    'rescale': Field('', 'bool'),
    'momentum_encoder': Field('', 'bool'),
}

# Options of networks, views and generated data of this package, by name in whatever group.
OPTIONS: dict[str, Field] = {
    'width': Field('channels of the first layer', 'int', 1, WIDEST),
    'widths': Field('of the layers', 'widths', 1, WIDEST),
    'zero_init_residual': Field('', 'bool'),
    'last_norm': Field('', 'bool'),
    'use_bias': Field('', 'bool'),
    'affine': Field('', 'bool'),
    'size': Field('px, side of the views', 'int', 1, 4096),
    'mean': Field('of each channel in [0, 1], for the normalisation', 'numbers', -LARGEST, LARGEST),
    'std': Field('of each channel in [0, 1]', 'numbers', math.ulp(0.0), LARGEST),
    'local_views': Field('', 'int', 0, 1000),
    'views': Field('number of views', 'int', 2, 1000),
    'ratio': Field("range of the crop's width over its height", 'numbers', math.ulp(0.0), LARGEST),
    'scale': Field('range of the size', 'numbers', math.ulp(0.0), LARGEST),
    'jitter': Field('strengths', 'numbers', 0, LARGEST),
    'jitter_p': Field('probability', 'float', *PROBABILITY),
    'grey_p': Field('probability', 'float', *PROBABILITY),
    'blur_p': Field('probability', 'float', *PROBABILITY),
    'solarize_p': Field('probability', 'float', *PROBABILITY),
    'blur_sigma': Field('px, range', 'numbers', math.ulp(0.0), LARGEST),
    'crop_last': Field('', 'bool'),
    'grey_first': Field('', 'bool'),
    'sigma': Field('of the noise', 'float', 0, LARGEST),
    'rotation': Field('degrees', 'float', 0, LARGEST),
    'shift': Field('px', 'float', 0, LARGEST),
    'shear': Field('', 'float', 0, LARGEST),
    'contrast': Field('', 'float', 0, LARGEST),
    'brightness': Field('', 'float', 0, LARGEST),
    'noise_std': Field('of the noise', 'float', 0, LARGEST),
    'edge_drop': Field('probability, of each view', 'numbers', *PROBABILITY),
    'feature_mask': Field('probability, of each view', 'numbers', *PROBABILITY),
    'noise': Field('of the noise, in standard deviations', 'float', 0, LARGEST),
    'mask': Field('probability, of each feature', 'float', *PROBABILITY),
    'scaling': Field('factors in 1 +- this', 'float', *PROBABILITY),
    'time_mask': Field('largest share of the steps', 'float', *PROBABILITY),
    'crop': Field('shares of the steps, range', 'numbers', math.ulp(0.0), 1),
    'depth': Field('convolutions', 'int', 1, 1000),
    'kernel': Field('steps, odd', 'int', 1, 100_001),
    'nodes': Field('', 'int', 1, 100_000),
    'communities': Field('', 'int', 1, 100_000),
    'within': Field('probability of an edge', 'float', *PROBABILITY),
    'between': Field('probability of an edge', 'float', *PROBABILITY),
    'features': Field('of a node', 'int', 1, 100_000),
    'separation': Field('of the centres, in deviations of the noise', 'float', 0, LARGEST),
    'train': Field('share of the nodes', 'float', *PROBABILITY),
    'seed': Field('of the graph', 'int', 0, 2**32 - 1),
}

# Fields and arguments that earlier versions did not have, with the value that is as it was then.
LATER: dict[str, Any] = {
    'optimizer': {
        'nesterov': False,
        'lars': {'eta': 1e-3, 'ratio': 'whole', 'clip': False, 'vectors': False},
    },
    'net': {'convolution': 'xla', 'weights': 'none'},
    'export': 'none',
    'mi': {'label_free': ()},
    'schedule': {'name': 'cosine', 'start': 0.0, 'final': 0.0, 'drops': (), 'drop_factor': 0.2},
}
LATER_ARGUMENTS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        ('bgrl', 'byol', 'dino', 'mec', 'mmi', 'mocov1', 'mocov2', 'mocov3', 'tico'),
        {'momentum_end': 1.0},
    ),
    'barlow': {'loss_scale': 1.0},
    'jmi': {'critic': 'cosine'},
    'simclr': {'head_norm': True},
}

# What a field, or a flag, is called elsewhere.
SYNONYMS = {
    'learning_rate': 'lr',
    'base_lr': 'lr',
    'eta': 'lr',
    'max_epochs': 'epochs',
    'num_epochs': 'epochs',
    'n_epochs': 'epochs',
    'batchsize': 'batch_size',
    'bs': 'batch_size',
    'wd': 'weight_decay',
    'tau': 'method.temperature',
    'temperature': 'method.temperature',
    'optim': 'optimizer.name',
    'backbone': 'net.name',
    'encoder': 'net.name',
    'arch': 'net.name',
    'pretrained': 'net.weights',
    'init_from': 'net.weights',
    'load_from': 'net.weights',
    'model': 'net.name',
    'dataset': 'data.name',
    'data_dir': 'data.dir',
    'num_workers': 'data.workers',
    'workers': 'data.workers',
    'augmentation': 'views.name',
    'warmup': 'warmup_epochs',
    'precision': 'net.dtype',
    'dtype': 'net.dtype',
    'gpus': 'devices',
    'num_seeds': 'seeds',
    'random_seed': 'seed',
    'projection': 'net.projector',
    'projector': 'net.projector',
    'predictor': 'net.predictor',
    'momentum': 'optimizer.momentum',
    'max_steps': 'epochs',
    'num_steps': 'epochs',
    'train_steps': 'epochs',
    'l2': 'weight_decay',
    'image_size': 'views.options.size',
    'img_size': 'views.options.size',
    'crop_size': 'views.options.size',
    'checkpoint_dir': '--workdir',
    'output_dir': '--workdir',
    'save_dir': '--workdir',
    'log_dir': '--workdir',
    'logdir': '--workdir',
    'work_dir': '--workdir',
    'output': '--workdir',
    'amp': 'net.dtype',
    'fp16': 'net.dtype',
    'bf16': 'net.dtype',
    'half': 'net.dtype',
    'mixed_precision': 'net.dtype',
    'gpu': 'devices',
    'num_gpus': 'devices',
    'n_gpus': 'devices',
    'num_devices': 'devices',
    'ema': 'method.momentum',
    'ema_decay': 'method.momentum',
    'momentum_encoder': 'method.momentum',
    'queue': 'method.queue_size',
    'loss': 'method.name',
    'algorithm': 'method.name',
    'path': 'data.dir',
    'dataset_path': 'data.dir',
    'data_path': 'data.dir',
    'root': 'data.dir',
    'transforms': 'views.name',
    'num_layers': 'net.projector',
    'hidden_dim': 'net.projector',
    'projector_dim': 'net.projector',
    'proj_dim': 'net.projector',
    'embedding_dim': 'net.projector',
    'feature_dim': 'net.projector',
    'k': 'probe.knn_neighbours',
    'knn_k': 'probe.knn_neighbours',
    'eval_every': 'mi.every',
    'val_every': 'mi.every',
    'eval_interval': 'mi.every',
    'log_interval': 'log_every',
    'log_freq': 'log_every',
    'print_freq': 'log_every',
    'save_every': 'checkpoint.epochs',
    'save_interval': 'checkpoint.epochs',
    'save_freq': 'checkpoint.epochs',
    'project': 'wandb',
    'wandb_project': 'wandb',
    'early_stopping': 'collapse.stop',
    'patience': 'collapse.stop',
    'grad_accum': 'accumulate',
    'gradient_accumulation_steps': 'accumulate',
    'accumulation_steps': 'accumulate',
    'accumulate_grad_batches': 'accumulate',
    'lr_schedule': 'warmup_epochs',
    'scheduler': 'warmup_epochs',
}
