"""Many devices on paper: bytes and FLOPs by hand, and the arithmetic that they go into."""

import jax
import jax.numpy as jnp
import pytest

from configs.base import common, methods
from mi_ssl_jax import parallel
from mi_ssl_jax.bench import costs, scaling, table
from mi_ssl_jax.experiment import build as experiments

BATCH, WIDTH, HIDDEN = 16, 4, 6
PEAK = costs.PEAKS[scaling.DEVICE]['float32']
pytestmark = pytest.mark.usefixtures('own_data_dir')


def points(name, **arguments):
    config = common.base()
    config.data.name, config.data.limit, config.views.name = 'gaussian', 48, 'noise'
    config.batch_size, config.epochs, config.mode = (
        BATCH,
        2,
        'scan',
    )  # a mode that need not be found out
    config.net.name, config.net.projector = 'mlp', (WIDTH,)
    config.net.predictor, config.net.options.mlp = (3,), {'widths': (HIDDEN,)}
    config.method = common.method(name, **methods.arguments(name) | arguments)
    return config


def cost(name, phase, **arguments):
    return scaling.cost(experiments.setup(points(name, **arguments)), phase)


def test_a_loss_over_pairs_by_hand():
    """Two views of WIDTH float32 go out and come back as gradients; the scores are N x N."""
    own = cost('simclr', 'joint', temperature=0.5)
    assert own.gathered == own.scattered == 2 * WIDTH * 4
    assert own.loss(4 * BATCH) == pytest.approx(16 * own.loss(BATCH))
    # Network of two views: 2 -> 6 -> 4, forward and twice backward, without a gradient for the
    # input.
    assert own.encoders == 2 * 2 * BATCH * (2 * 2 * HIDDEN + 3 * HIDDEN * WIDTH)
    sizes = own.averaged.values()
    assert min(sizes) > 0 and max(sizes) < 4 * 200


def test_outputs_that_the_loss_does_not_read_are_not_sent():
    """BYOL: predictions of the online branch and embeddings of the target, and no gradient to the
    target."""
    own = cost('byol', 'e', momentum=0.9)
    assert (own.gathered, own.scattered) == (2 * 2 * WIDTH * 4, 2 * WIDTH * 4)
    assert own.loss(BATCH) == 0 and scaling.limit_of(own, BATCH) is None


def test_a_batch_that_the_method_refuses_has_no_loss():
    own = cost('mocov2', 'e', temperature=0.2, queue_size=2 * BATCH)
    assert own.loss(BATCH) > 0 and own.loss(8 * BATCH) is None


def test_collectives_are_counted_through_loops():
    layout = parallel.Layout(parallel.choose_devices(1) * 4, seeds=1, mode='loop')

    def step(x):
        first = jax.lax.map(lambda row: parallel.mean(row, layout.axis), x)
        parallel.gather(2 * x, layout.axis)  # read by nobody
        return jax.grad(lambda x: jnp.sum(parallel.gather(x, layout.axis) ** 2))(first)

    sent = costs.sent(parallel.trace(step, layout, jnp.zeros((3, 5))))
    assert sent == {'psum': 3 * 5 * 4, 'all_gather': 4 * 3 * 5 * 4, 'reduce_scatter': 4 * 3 * 5 * 4}


MADE = scaling.Cost(
    gathered=8.0,
    scattered=4.0,
    averaged={'gradient': 600.0, 'rest': 400.0},
    encoders=PEAK,
    loss=lambda batch: PEAK * (batch / 64) ** 2,
)


def test_received_bytes_limit_and_speed():
    assert scaling.received(MADE, 10, 1) == 0
    assert scaling.received(MADE, 10, 4) == 0.75 * (40 * 12 + 2 * 1000)
    assert scaling.limit_of(MADE, 8) == 8
    heavy = MADE._replace(
        averaged={'gradient': scaling.INSIDE}
    )  # 2 x 7/8 seconds among 8, nine times that among 64
    inside, outside = (
        scaling.efficiency(heavy._replace(loss=lambda batch: 0.0), 1, n, dtype='float32')
        for n in (8, 64)
    )
    alone = 1 / scaling.USED
    assert inside == pytest.approx(alone / (alone + 1.75), rel=1e-6)
    assert outside == pytest.approx(alone / (alone + 2 * 63 / 64 * 9), rel=1e-6)


def test_the_table_has_a_row_for_each_number_of_devices():
    rows, settings = scaling.measure({'x': points('simclr', temperature=0.5)})
    found = {row.what: row for row in rows}
    for devices in ('1 device', '8 devices', '64 devices'):
        for what in (
            'outputs gathered',
            'received by each device',
            'loss, on every device',
            "loss, of a device's FLOPs",
            'expected speed a device',
        ):
            assert found[f'{what}, {devices}'].value >= 0
    assert found['expected speed a device, 1 device'].value == 100
    speeds = {row.unit for what, row in found.items() if 'expected speed' in what}
    assert speeds == {'%, float32'} and '%, float32' in table.text(rows)  # not bfloat16's
    assert 'TFLOP/s in float32' in settings['x']['peak']
    assert settings['x']['assumed'] == scaling.ASSUMED and '8 devices' in table.text(rows)
