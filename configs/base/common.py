"""All fields of a configuration, with their units. A configuration is `base()` plus its own
changes.
"""

from ml_collections import ConfigDict


def base() -> ConfigDict:
    """The fields all experiments share."""
    config = ConfigDict()
    config.seed = 0  # of the first seed; the others count up from it
    config.seeds = 1  # independent copies trained side by side
    config.batch_size = 256  # examples a step, over all devices
    config.epochs = 100  # passes over the data; for SDMI an epoch is one E pass and one M pass
    config.warmup_epochs = 0  # linear warm-up of the learning rate, then `schedule`
    config.lr = 0.05  # of the batch as it is, or, with lr_scaling, of a batch of 256
    config.lr_scaling = 'none'  # 'linear': times batch_size / 256; 'sqrt': times the root of that
    config.weight_decay = 0.0
    config.period = 0  # steps of a phase before the next takes over; 0 = a whole pass (Algorithm 1)
    # steps between two lines of metrics.jsonl, from each of which a run can resume
    config.log_every = 50
    config.devices = 0  # 0 = all local devices
    # pieces in which a device encodes its share of the batch: less memory, one more encoding
    config.accumulate = 1
    # make sure, at every line of the log, that all devices hold the same state
    config.check_replicas = False
    # 'scan', 'apart', 'loop' or, by network and platform, 'auto'; see parallel.choose_mode
    config.mode = 'auto'

    # 'timm', 'torchvision', 'npz' or 'stablehlo': the trained encoder for others, in exported/
    config.export = 'none'
    config.wandb = ''  # project of Weights & Biases to log to as well; '' = none

    config.method = ConfigDict({'name': ''})  # the method's own arguments beside it

    config.optimizer = ConfigDict()
    config.optimizer.name = 'sgd'  # sgd, adam, adamw or lars
    config.optimizer.momentum = 0.9  # of sgd and lars
    config.optimizer.nesterov = False  # of sgd and lars: Nesterov's momentum
    config.optimizer.lars = ConfigDict()
    config.optimizer.lars.eta = 1e-3  # trust coefficient
    # |p| / |g + wd p|; 'parts': |p| / (|g| + wd |p|)
    config.optimizer.lars.ratio = 'whole'
    config.optimizer.lars.clip = False  # eta times the ratio at most the learning rate
    config.optimizer.lars.vectors = False  # biases and batch norms are adapted and decay too

    config.schedule = ConfigDict()
    config.schedule.name = 'cosine'  # after the warm-up; or 'steps'
    config.schedule.start = 0.0  # where the warm-up begins, as a fraction of lr
    config.schedule.final = 0.0  # where the cosine ends, as a fraction of lr
    config.schedule.drops = ()  # epochs of 'steps' from which on the rate is multiplied ...
    config.schedule.drop_factor = 0.2  # ... by this

    config.data = ConfigDict()
    config.data.name = ''
    config.data.dir = ''  # where TFDS keeps prepared data; '' = TFDS_DATA_DIR, else TFDS's default
    # px; images of different sizes are held in memory as squares of this side
    config.data.short_side = 0
    # read each batch while training instead of holding the data set in memory
    config.data.streamed = False
    config.data.canvas = 0  # px; streamed images are cut to squares of this side
    config.data.workers = 0  # processes that decode streamed images; 0 = threads of this one
    config.data.options = ConfigDict()  # of generated data, their own arguments
    # train on this many examples, evenly picked in the data set's order; 0 = all
    config.data.limit = 0

    config.views = ConfigDict()
    config.views.name = ''
    config.views.options = ConfigDict()  # the pipeline's own arguments

    config.net = ConfigDict()
    config.net.name = ''
    config.net.projector = ()  # widths, hidden layers first; () = none
    config.net.predictor = ()  # hidden widths, for methods that have a predictor
    # of computation: 'float32', 'bfloat16', or 'auto', which is bfloat16 on accelerators alone;
    # parameters and statistics are float32
    config.net.dtype = 'float32'
    # of convolutions in float32 on CPUs: 'fast' or 'accurate' as matrix products, or 'xla'
    config.net.convolution = 'fast'
    # weights of the backbone to begin with: FILE.safetensors, an exported folder or a run's
    config.net.weights = 'none'
    # statistics of the batch over all devices, or of each device's part: 'device'
    config.net.batch_norm = 'global'
    config.net.options = ConfigDict()  # network name -> its own arguments

    config.mi = ConfigDict()
    config.mi.every = 1  # epochs between two evaluations
    # steps (of all phases) between two evaluations instead; 0 = by epochs
    config.mi.every_steps = 0
    config.mi.temperature = 1.0  # of the cosine critic that measures
    config.mi.examples = 0  # held-out examples that are watched, evenly picked; 0 = all
    config.mi.batch_size = 2500  # held-out examples encoded at a time
    # figures without labels that are measured beside it: 'rankme', 'lidar', 'alpha_req',
    # 'alignment', 'uniformity'
    config.mi.label_free = ()

    config.probe = ConfigDict()
    # a linear classifier trained beside the encoder, on its training batches
    config.probe.online = False
    config.probe.at_end = False  # linear probe and kNN when training ends
    config.probe.labels = (
        'all',
        '10 a class',
    )  # training labels of the linear probes; also '1%', '10%'
    config.probe.knn_neighbours = 20
    config.probe.knn_temperature = 0.07

    config.checkpoint = ConfigDict()
    config.checkpoint.minutes = 5.0  # between two checkpoints; there is always one at the end
    config.checkpoint.epochs = 0  # save also every so many epochs; 0 = by the clock alone
    config.checkpoint.keep = 2  # the last ones; the best evaluation is kept beside them
    # by held-out cos-DV ('mi'), by the online probe ('online_top1'), by a figure of mi.label_free,
    # or 'none'
    config.checkpoint.best = 'mi'

    config.collapse = ConfigDict()
    # end the run (status 4) after so many collapsed evaluations in a row; 0 = warn alone
    config.collapse.stop = 0

    config.rollback = ConfigDict()
    # after a loss that is not finite, go back to the last checkpoint at most so often
    config.rollback.times = 0
    config.rollback.factor = 0.5  # ... and go on with the learning rate times this
    return config


def method(name: str, **arguments) -> ConfigDict:
    """A method and its arguments. What a method can do without is 'none', or 0 for a number."""
    return ConfigDict({'name': name, **arguments})
