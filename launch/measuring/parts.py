"""The parts that run JAX, in one worker process (see run.py): every line is on disk when its
measurement ends.
"""

import argparse
import functools
import importlib
import json
import os
import statistics
import sys
import time
import traceback

parser = argparse.ArgumentParser()
for name in ('parts', 'results', 'project', 'data'):
    parser.add_argument(f'--{name}', default='')
parser.add_argument('--smoke', action='store_true')
VALUES = parser.parse_args()
SMOKE = VALUES.smoke
sys.path.insert(0, VALUES.project)
os.chdir(VALUES.project)


def write(**entry):
    with open(VALUES.results, 'a') as file:
        file.write(json.dumps(entry, default=float) + '\n')
        file.flush()
        os.fsync(file.fileno())
    if 'event' not in entry:
        print(entry, flush=True)


STARTED = time.time()
write(
    part=VALUES.parts.split(',')[0], event='start', time=STARTED
)  # JAX's own start counts to the first part

import jax
import jax.numpy as jnp
import numpy as np

from mi_ssl_jax import data, parallel
from mi_ssl_jax.bench import costs, programs
from mi_ssl_jax.core import bounds, critics, pairs
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.train import feed as feeds
from mi_ssl_jax.train import schedule, step
from mi_ssl_jax.train import state as states

DEVICE = jax.devices()[0]
ON_CPU = DEVICE.platform == 'cpu' and not SMOKE


def scaled(big, small, on_cpu=None):
    """A size for an accelerator, for --smoke, and for a CPU where the first takes minutes."""
    if ON_CPU and on_cpu is not None:
        return on_cpu
    return small if SMOKE else big


BATCH, ROUNDS = scaled(512, 8, 32), scaled(4, 2, 3)
# Of a call. One on a CPU, where a pass is a loop of the host, which a program would unroll.
STEPS = scaled(97, 2, 1)
RUN = {}  # what parts tell later ones


# Measuring
# --------------------------------------------------------------------------------------------------


def timed(function, *arguments, calls=None, rounds=3):
    """Median seconds a call, calls dispatched together and waited for at the end."""
    calls = calls or scaled(20, 2, 3)
    jax.block_until_ready(function(*arguments))
    found = []
    for _ in range(rounds):
        start = time.perf_counter()
        for _ in range(calls):
            result = function(*arguments)
        jax.block_until_ready(result)
        found.append((time.perf_counter() - start) / calls)
    return statistics.median(found)


def config_of(name, **changes):
    config = importlib.import_module(f'configs.{name}').get_config()
    config.batch_size, config.mode = BATCH, 'scan' if SMOKE else 'auto'
    if 'net' in config and config.net.name.startswith('resnet'):
        config.net.dtype = scaled('bfloat16', 'bfloat16', 'float32')
        if SMOKE:
            config.net.name, config.net.projector = 'conv4', (8, 4)
            config.net.options.conv4.width = 2
            config.net.predictor = (4,)
    for path, value in changes.items():
        *groups, last = path.split('__')
        node = functools.reduce(lambda tree, key: tree[key], groups, config)
        with config.unlocked():
            node[last] = value
    return config


def made_up(side, count, classes=10):
    random = np.random.RandomState(0)
    x = random.randint(0, 256, (count, side, side, 3)).astype(np.uint8)
    y = (np.arange(count) % classes).astype(np.int32)
    split = data.Split(x, y)
    return inputs.Source(
        'made up', count, x[0], split, split, tuple(map(str, range(classes))), None, None
    )


@functools.cache
def cifar():
    """CIFAR-10, or as many made-up images."""
    if VALUES.data and not SMOKE:
        config = config_of('simclr_cifar10')
        config.data.dir, config.data.limit = VALUES.data, scaled(0, 0, 2000)
        return inputs.load(config)
    return made_up(32, scaled(50_000, 64, 2000))


class Measured:
    """One phase's pass: compiled ahead of time, as the jitted pass of the training loop."""

    def __init__(self, ready, phase, length, population=None):
        self.ready, self.phase, self.length = ready, phase, length
        spec, layout = ready.spec, ready.layout
        start = time.perf_counter()
        self.population = jax.block_until_ready(
            experiments.initial(ready) if population is None else population
        )
        self.init_s = time.perf_counter() - start
        examples = jax.tree.map(jnp.asarray, {'x': ready.source.train.x, 'y': ready.source.train.y})
        self.feed = feeds.Resident(spec, parallel.place(examples, layout))
        self.feed.begin(self.population, 0)
        self.order, _ = next(iter(self.feed.pieces(phase, length)))
        own = states.phase_of(ready.method, phase)
        halves = self.population.map(lambda state: states.split(state, ready.method, own))
        self.trained, self.frozen = halves.unzip()
        run = schedule.compile_steps(spec)[phase]
        self.jitted = jax.jit(lambda *given: run(*given, length), donate_argnums=0)
        arguments = (self.trained, self.frozen, self.feed.data, self.order)
        start = time.perf_counter()
        lowered = self.jitted.lower(*arguments)
        middle = time.perf_counter()
        self.compiled = lowered.compile()
        self.trace_s, self.compile_s = middle - start, time.perf_counter() - middle
        memory = self.compiled.memory_analysis()
        self.memory = {
            'arguments_GB': memory.argument_size_in_bytes / 1e9,
            'temporaries_GB': memory.temp_size_in_bytes / 1e9,
        }
        views = jax.make_jaxpr(lambda x: step.make_views(spec, jax.random.PRNGKey(0), x))(
            ready.source.train.x[: spec.batch_size]
        )
        one = jax.make_jaxpr(lambda *given: run(*given, 1))(*arguments)
        self.flops = costs.count(one.jaxpr) - layout.seeds * costs.count(views.jaxpr)

    def once(self):
        start = time.perf_counter()
        self.trained, self.metrics = self.compiled(
            self.trained, self.frozen, self.feed.data, self.order
        )
        jax.block_until_ready((self.trained, self.metrics))
        return (time.perf_counter() - start) / self.length

    def repeatable(self):
        """Two passes from the same bits: whether they end in the same bits, and the largest
        difference."""
        before = jax.device_get(self.trained)
        ends = []
        for _ in range(2):
            self.trained = jax.device_put(before, DEVICE)
            self.once()
            ends.append(jax.device_get(self.trained.first().variables))
        gaps = jax.tree.leaves(
            jax.tree.map(lambda a, b: float(np.max(np.abs(a - b), initial=0)), *ends)
        )
        return {'bitwise_repeatable': max(gaps) == 0, 'largest_gap': max(gaps)}

    def result(self, views_an_example=2):
        first = self.once()
        rounds = [self.once() for _ in range(ROUNDS)]
        seconds, own = statistics.median(rounds), self.ready.spec
        views = own.batch_size * views_an_example * own.layout.seeds
        rate = self.flops / seconds / 1e12
        found = {
            'views_s': views / seconds,
            'step_ms': 1e3 * seconds,
            'step_ms_rounds': [1e3 * r for r in rounds],
            'first_step_ms': 1e3 * first,
            'GFLOP_step': self.flops / 1e9,
            'TFLOP_s': rate,
            'init_s': self.init_s,
            'trace_s': self.trace_s,
            'compile_s': self.compile_s,
            **self.memory,
            'loss': float(np.ravel(jax.device_get(self.metrics['loss']))[0]) / self.length,
        }
        if 'ceiling' in RUN:
            found['MFU_of_ceiling_%'] = 100 * rate / RUN['ceiling']
        stats = DEVICE.memory_stats() or {}
        if 'peak_bytes_in_use' in stats:
            found['process_peak_GB'] = stats['peak_bytes_in_use'] / 1e9
        return seconds, found


def build(config, source):
    return experiments.build(config, source, (DEVICE,))


def shares(measured, seconds):
    """Augmentation and input alone, dispatched step by step (so input is the host's dispatch or
    more)."""
    found = {}
    for name, program in (
        ('augmentation', programs.augmentation(measured.ready)),
        ('input', programs.input_alone(measured.ready, measured.feed)),
    ):
        program.run(2)
        times = []
        for _ in range(3):
            start = time.perf_counter()
            program.run(scaled(40, 2, 4))
            times.append((time.perf_counter() - start) / scaled(40, 2, 4))
        found[f'{name}_ms'] = 1e3 * statistics.median(times)
        found[f'{name}_%'] = 100 * statistics.median(times) / seconds
    return found


# Parts
# --------------------------------------------------------------------------------------------------


def env():
    import jaxlib

    write(
        part='env',
        device=DEVICE.device_kind,
        jax=jax.__version__,
        jaxlib=jaxlib.__version__,
        python=sys.version.split()[0],
        cores=os.cpu_count(),
        flags=os.environ.get('XLA_FLAGS', ''),
        data=cifar().name,
        peak_known=costs.peak(DEVICE, 'bfloat16') is not None,
        imported_s=round(time.time() - STARTED, 1),
    )
    size = scaled(8192, 128, 2048)
    key = jax.random.PRNGKey(0)
    a, b = (jax.random.normal(k, (size, size)) for k in jax.random.split(key))
    found = {}
    for name, dtype, precision in (
        ('bf16', jnp.bfloat16, None),
        ('f32_default', jnp.float32, None),
        ('f32_highest', jnp.float32, 'highest'),
    ):
        product = jax.jit(functools.partial(jnp.matmul, precision=precision))
        found[f'{name}_TFLOP_s'] = (
            2 * size**3 / timed(product, a.astype(dtype), b.astype(dtype)) / 1e12
        )
    RUN['ceiling'] = found['bf16_TFLOP_s']
    x = jnp.ones(scaled(2**28, 2**12, 2**25))
    found['copy_TB_s'] = 2 * x.nbytes / timed(jax.jit(lambda x: x + 1), x) / 1e12
    small = jnp.ones(8)
    found['dispatch_us'] = 1e6 * timed(jax.jit(lambda x: x + 1), small, calls=scaled(500, 5))
    loops = scaled(2000, 10, 200)
    turns = jax.jit(
        lambda x: jax.lax.scan(lambda c, _: (jnp.sin(c) @ c.T @ c, None), x, length=loops)[0]
    )
    found['scan_turn_of_3_kernels_us'] = 1e6 * timed(turns, jnp.ones((64, 64)), calls=1) / loops
    write(part='env', matmul=size, **found)


def simclr(name='simclr', changes=None, **fields):
    ready = build(config_of('simclr_cifar10', **(changes or {})), cifar())
    measured = Measured(ready, 'joint', STEPS)
    seconds, found = measured.result()
    write(part=name, **fields, **found)
    RUN['simclr'] = seconds
    if name == 'simclr':
        epochs = max(8, int(85 * found['views_s'] / (97 * 1024)))
        write(
            part=name,
            pilot_epochs=min(epochs, 400),
            **shares(measured, seconds),
            **measured.repeatable(),
        )


def jmi():
    """The pilot's own program, so that the pilot finds it in the cache."""
    planned = [
        json.loads(line).get('pilot_epochs')
        for line in open(VALUES.results)
        if 'pilot_epochs' in line
    ]
    epochs = 2 if SMOKE else (planned or [20])[-1]
    config = config_of(
        'jmi_cifar10',
        epochs=epochs,
        probe__online=True,
        log_every=97,
        mi__examples=scaled(0, 0, 512),
    )
    ready = build(config, cifar())
    measured = Measured(ready, 'joint', STEPS)
    seconds, found = measured.result()
    write(part='jmi', **found)
    # What an evaluation costs: 10,000 test images twice with views and once plain, the estimates,
    # collapse figures.
    variables = measured.trained.map(lambda trained: trained.variables)
    lagged = variables.map(lambda _: {})
    evaluate = experiments.measure(ready)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        evaluate(variables, lagged)
        times.append(time.perf_counter() - start)
    write(
        part='jmi',
        evaluation_first_s=times[0],
        evaluation_s=times[-1],
        evaluation_in_steps=times[-1] / seconds,
    )


def sdmi():
    ready = build(config_of('sdmi_cifar10'), cifar())
    population, total = experiments.initial(ready), 0.0
    for phase in ('e', 'm'):
        measured = Measured(ready, phase, STEPS, population)
        seconds, found = measured.result()
        total += seconds
        write(part='sdmi', phase=phase, **found)
        own = states.phase_of(ready.method, phase)
        population = measured.population.map(
            lambda state, new: states.merge(state, own, new), measured.trained
        )
        del measured
    if 'simclr' in RUN:
        write(
            part='sdmi',
            round_ms=1e3 * total,
            round_over_two_simclr_steps=total / (2 * RUN['simclr']),
        )


def critic():
    """DV with the cosine critic, value and gradient: naive and in row blocks."""
    function = functools.partial(critics.cosine, temperature=0.1)
    room = (DEVICE.memory_stats() or {}).get('bytes_limit', 8e9)
    # The whole matrix where it fits beside its gradient, and rows at a time; compiling and choosing
    # kernels takes longest, so each size has few forms.
    forms = scaled(
        {8192: (0, 1024, 4096), 32768: (0, 4096), 65536: (4096,)},
        {64: (0, 32), 128: (32,)},
        {4096: (0, 1024), 16384: (1024,)},
    )
    for size, block_sizes in forms.items():
        za, zb = jax.random.normal(jax.random.PRNGKey(0), (2, size, scaled(256, 8)))
        losses = {}
        for block in block_sizes:
            name = f'block {block}' if block else 'naive'
            losses[name] = (
                functools.partial(
                    lambda a, b, block: bounds.blocked('dv', a, b, function, block), block=block
                )
                if block
                else lambda a, b: bounds.dv(pairs.in_batch(function(a, b)))
            )
        gradients = {}
        for name, loss in losses.items():
            try:
                compiled = jax.jit(jax.value_and_grad(loss, (0, 1))).lower(za, zb).compile()
                temporaries = compiled.memory_analysis().temp_size_in_bytes
                if temporaries > 0.95 * room:
                    write(
                        part='critic',
                        N=size,
                        form=name,
                        temporaries_GB=temporaries / 1e9,
                        note='does not fit: not run',
                    )
                    continue
                seconds = timed(compiled, za, zb, calls=scaled(4, 1, 1))
                gradients[name] = compiled(za, zb)
                write(
                    part='critic',
                    N=size,
                    form=name,
                    ms=1e3 * seconds,
                    temporaries_GB=temporaries / 1e9,
                    TFLOP_s=6 * size**2 * za.shape[1] / seconds / 1e12,
                )
            except Exception as error:  # out of memory, say: the next form may fit
                write(part='critic', N=size, form=name, error=str(error)[:200])
        if len(gradients) > 1:
            first, *others = gradients.values()
            gap = max(
                float(jnp.linalg.norm(a - b) / jnp.linalg.norm(a))
                for other in others
                for a, b in zip(first[1], other[1])
            )
            write(part='critic', N=size, gradients_relative_gap=gap)


def seeds():
    found = {}
    for count in (1, scaled(12, 3)):
        config = config_of('jmi_gaussian', seeds=count)
        config.batch_size = importlib.import_module('configs.jmi_gaussian').get_config().batch_size
        ready = build(config, inputs.load(config))
        measured = Measured(ready, 'joint', scaled(100, 3, 10))
        found[count], own = measured.result()
        write(
            part='seeds',
            network='mlp',
            seeds=count,
            step_ms=own['step_ms'],
            compile_s=own['compile_s'],
        )
    one, many = found.values()
    write(part='seeds', network='mlp', many_over_one=many / one, seeds=list(found)[-1])


def seeds3():
    """Three seeds of the ResNet-18: vmap makes grouped convolutions of them."""
    simclr('seeds3', {'seeds': 3, 'net__dtype': 'bfloat16'}, what='3 seeds by vmap')


def r50():
    batch = scaled(256, 4, 4)
    config = config_of(
        'simclr_in100',
        batch_size=batch,
        data__streamed=False,
        views__options__size=scaled(224, 32),
    )
    ready = build(config, made_up(scaled(224, 32), 4 * batch))
    measured = Measured(ready, 'joint', scaled(8, 2, 1))
    seconds, found = measured.result()
    write(part='r50', **found)
    write(part='r50', **shares(measured, seconds))


def micro():
    """Single operations that we expect to be slow: what each costs alone."""
    bf16, key = jnp.bfloat16, jax.random.PRNGKey(0)

    def draw(*shape, dtype=bf16):
        return jax.random.normal(key, shape, jnp.float32).astype(dtype)

    def convolution(x, w, stride, pad, **options):
        return jax.lax.conv_general_dilated(
            x,
            w,
            (stride, stride),
            [(pad, pad)] * 2,
            **options,
            dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
        )

    def both(function):  # forward and the gradient with respect to the second argument
        return jax.jit(
            lambda x, w, dy: (lambda y, back: (y, back(dy)[0]))(
                *jax.vjp(lambda w: function(x, w), w)
            )
        )

    n = scaled(1024, 2)
    for where, batch, side, kernel, stride, pad in (
        ('cifar', n, 32, 3, 1, 1),
        ('imagenet', n // 2, scaled(224, 32), 7, 2, 3),
    ):
        for channels in (3, 4, 8):
            x, w = draw(batch, side, side, channels), draw(kernel, kernel, channels, 64)
            out = side // stride
            call = both(lambda x, w: convolution(x, w, stride, pad))
            seconds = timed(call, x, w, draw(batch, out, out, 64), calls=scaled(10, 1))
            write(
                part='micro',
                what=f'stem {where}, {channels} channels: forward + weight gradient',
                ms=1e3 * seconds,
                TFLOP_s=4 * batch * out**2 * kernel**2 * 3 * 64 / seconds / 1e12,
            )
    x, w, dy = draw(n, 32, 32, 64), draw(3, 3, 64, 64), draw(n, 32, 32, 64)
    full = jax.jit(lambda x, w, dy: jax.vjp(lambda x, w: convolution(x, w, 1, 1), x, w)[1](dy))
    seconds = timed(full, x, w, dy, calls=scaled(10, 1))
    flops = 2 * n * 1024 * 9 * 64 * 64
    write(
        part='micro',
        what='conv 64@32: both gradients',
        ms=1e3 * seconds,
        TFLOP_s=2 * flops / seconds / 1e12,
    )
    ways = {
        '3 seeds by vmap (grouped)': jax.vmap(full),
        '3 seeds one by one': lambda *a: [full(*(t[i] for t in a)) for i in range(3)],
    }
    three = draw(3, n, 32, 32, 64), draw(3, 3, 3, 64, 64), draw(3, n, 32, 32, 64)
    for name, way in ways.items():
        seconds = timed(jax.jit(way), *three, calls=scaled(5, 1))
        write(
            part='micro',
            what=f'conv 64@32, gradients, {name}',
            ms=1e3 * seconds,
            TFLOP_s=6 * flops / seconds / 1e12,
        )

    from mi_ssl_jax.nets import layers

    norm = layers.batch_norm(True, dtype=bf16, axis_name=None, fast_variance=True)
    x = draw(2, n // 2, 32, 32, 64)
    variables = norm.init(key, x[0])

    def normalised(scale, x):
        own = {**variables, 'params': {**variables['params'], 'scale': scale}}
        return jax.nn.relu(jax.vmap(lambda x: norm.apply(own, x, mutable=['batch_stats'])[0])(x))

    call = jax.jit(lambda s, x, dy: (lambda y, back: (y, back(dy)))(*jax.vjp(normalised, s, x)))
    seconds = timed(call, variables['params']['scale'], x, draw(*x.shape), calls=scaled(10, 1))
    write(
        part='micro',
        what='batch norm + relu 64@32, forward and backward (least: 7 passes)',
        ms=1e3 * seconds,
        passes_at_copy_speed=seconds / (x.nbytes / 3e12),
        TB_s_of_7=7 * x.nbytes / seconds / 1e12,
    )

    import flax.linen as nn

    from mi_ssl_jax.nets import resnet

    x = draw(n // 2, scaled(112, 16), scaled(112, 16), 64)
    pools = {
        'reduce_window': lambda x: nn.max_pool(x, (3, 3), strides=(2, 2), padding=((1, 1), (1, 1))),
        'nine slices, as in nets.resnet': resnet.max_pool,
    }
    for name, pool in pools.items():
        call = jax.jit(lambda x, dy, pool=pool: jax.vjp(pool, x)[1](dy))
        seconds = timed(call, x, draw(*pool(x).shape), calls=scaled(5, 1))
        write(
            part='micro',
            what=f'max-pool 3x3/2 backward at 112 px, 512 images, {name}',
            ms=1e3 * seconds,
            TB_s_of_3=3 * x.nbytes / seconds / 1e12,
        )

    from mi_ssl_jax.core import sphere

    gram = lambda z: jnp.linalg.eigvalsh(jnp.matmul(z.T, z, precision='highest'))
    for width in (128, 256, 2048):
        z = draw(scaled(10_000, 50), scaled(width, 8), dtype=jnp.float32)
        for name, function in (
            ('eigenvalues of the Gram matrix', gram),
            ('effective_rank (QR, then SVD), as evaluated', sphere.effective_rank),
        ):
            if width == 2048 and time.time() > float(os.environ['MEASURE_END']) - 40:
                continue
            seconds = timed(jax.jit(function), z, calls=1)
            write(part='micro', what=f'{name}, 10,000 x {width}', ms=1e3 * seconds)

    side = scaled(224, 16)
    rows, plane = (
        draw(n // 2, side, side, dtype=jnp.float32),
        draw(n // 2, side, side, dtype=jnp.float32),
    )
    for precision in ('highest', 'high', 'default'):
        two = jax.jit(
            lambda r, p: jnp.matmul(
                jnp.matmul(r, p, precision=precision), r.mT, precision=precision
            )
        )
        seconds = timed(two, rows, plane, calls=scaled(10, 1))
        write(
            part='micro',
            what=f'two crop products of one plane at 224 px, 512 views, {precision}',
            ms=1e3 * seconds,
            TFLOP_s=4 * n / 2 * side**3 / seconds / 1e12,
        )


def pad():
    """SimCLR with the views' channels filled up to 4 and 8 before the stem."""
    from mi_ssl_jax.nets import resnet

    plain = resnet._stem
    for channels in (4, 8):
        resnet._stem = lambda x, *rest, channels=channels: plain(
            jnp.pad(x, [(0, 0)] * 3 + [(0, channels - 3)]), *rest
        )
        simclr('pad', what=f'{channels} channels')
    resnet._stem = plain


def with_flags(name):
    simclr(name, flags=os.environ.get('XLA_FLAGS', ''))


def main():
    known = {
        function.__name__: function
        for function in (env, simclr, jmi, sdmi, critic, seeds, seeds3, r50, micro, pad)
    }
    for number, name in enumerate(VALUES.parts.split(',')):
        if number:
            write(part=name, event='start', time=time.time())
        if name != 'env' and 'ceiling' not in RUN:
            RUN.update(earlier())
        try:
            with_flags(name) if name.startswith('xla:') else known[name]()
        except Exception as error:  # the other parts go on
            traceback.print_exc()
            write(
                part=name,
                error=f'{type(error).__name__}: {str(error)[:300]}',
                log=traceback.format_exc()[-1500:],
            )
        jax.clear_caches()
        write(part=name, event='end', time=time.time())


def earlier():
    """Return the results of earlier workers of this call."""
    found = {}
    for line in open(VALUES.results):
        try:
            own = json.loads(line)
        except ValueError:
            continue
        if 'bf16_TFLOP_s' in own:
            found['ceiling'] = own['bf16_TFLOP_s']
        if own.get('part') == 'simclr' and 'step_ms' in own:
            found['simclr'] = own['step_ms'] / 1e3
    return found


main()
