"""What the end of a run needs, and what the user's own parts must be, is checked before the first
step.
"""

import sys

import numpy as np
import pytest

from configs import jmi_gaussian
from mi_ssl_jax import data
from mi_ssl_jax.experiment import build, checks, inputs
from mi_ssl_jax.methods import api

OWN = """
import flax.linen as nn
import jax.numpy as jnp

class Net(nn.Module):
    dtype: object = jnp.float32
    axis_name: object = None

    @nn.compact
    def __call__(self, x, train):
        return self.form(nn.Dense(4)(x))

class Good(Net):
    form = staticmethod(lambda z: z)

class Rank(Net):
    form = staticmethod(lambda z: z[:, None])

class Scalar(Net):
    form = staticmethod(lambda z: z.sum())

class Several(Net):
    form = staticmethod(lambda z: (z, 3))

class Whole(Net):
    form = staticmethod(lambda z: z.astype(int))

class Fails(Net):
    form = staticmethod(lambda z: z @ jnp.ones((7, 3)))

class NoFields(nn.Module):
    def __call__(self, x, train):
        return x

class NoTrain(Net):
    def __call__(self, x):
        return x

def no_module(dtype, axis_name):
    return 3

NUMBER = 3

def one_view(key, x):
    return (x,)

def bare(key, x):
    return x

def failing(key, x):
    raise RuntimeError('no such view')

def two(key, x):
    return x, x

def evaluation(x):
    return x

def build(parts):
    return 3

def broken(parts):
    raise KeyError('mine')
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Build an experiment on points with parts of the user's own module."""
    (tmp_path / 'own_parts.py').write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, 'own_parts', raising=False)

    def built(**names):
        config = jmi_gaussian.get_config()
        config.data.dir = str(tmp_path / 'data')
        with config.unlocked():
            for group, name in names.items():
                config[group].name = f'own_parts:{name}' if ':' not in name else name
                if group in ('method', 'views'):
                    for other in set(config[group]) - {'name', 'options'}:
                        del config[group][other]
                if group == 'views':
                    del config.views.options['sigma']
        return build.setup(config)

    return built


NETS = [
    ('NoFields', "unexpected keyword argument 'dtype'; it must take dtype and axis_name"),
    ('NoTrain', "unexpected keyword argument 'train'"),
    ('Rank', 'of 2 examples it gives an array of shape (2, 1, 4), not 2 rows of features'),
    ('Scalar', 'of 2 examples it gives an array of shape (), not 2 rows of features'),
    ('Several', 'of 2 examples it gives tuple, not 2 rows of features'),
    ('Whole', 'it gives features of int32'),
    ('Fails', 'own_parts.py, line 29)'),
    ('no_module', "'int' object has no attribute"),
    ('NUMBER', "the network 'own_parts:NUMBER' is int, no function or class"),
    ('Missing', "cannot load the network 'own_parts:Missing'"),
    ('nosuch:Net', "cannot load the network 'nosuch:Net': No module named 'nosuch'"),
]


@pytest.mark.parametrize('name, message', NETS)
def test_a_network_of_the_users_own_that_cannot_work_is_one_line(own, name, message):
    with pytest.raises(ValueError) as error:
        own(net=name)
    assert message in str(error.value) and '\n' not in str(error.value)


OTHERS = [
    ('views', 'one_view', 'fails: it gives fewer than two views; it must be (key, example) ->'),
    ('views', 'bare', 'it gives fewer than two views'),
    ('views', 'failing', 'fails: RuntimeError: no such view ('),
    ('views', 'NUMBER', "the views 'own_parts:NUMBER' is int"),
    ('method', 'build', "method 'own_parts:build' gives int, not a methods.api.Method"),
    ('method', 'broken', "method 'own_parts:broken' fails: KeyError: 'mine' ("),
    ('method', 'NUMBER', "the method 'own_parts:NUMBER' is int"),
]


@pytest.mark.parametrize('group, name, message', OTHERS)
def test_views_and_methods_of_the_users_own_that_cannot_work(own, group, name, message):
    with pytest.raises(ValueError) as error:
        own(**{group: name})
    assert message in str(error.value) and '\n' not in str(error.value)


def test_parts_of_the_users_own_that_work(own):
    ready = own(net='Good', views='two')
    assert ready.width == 4 and isinstance(ready.method, api.Method)


@pytest.mark.parametrize(
    'name, message',
    [
        ('resnet18', 'a convolutional network takes images, not arrays of shape (2, 2)'),
        ('conv4', 'a convolutional network takes images, not arrays of shape (2, 2)'),
        ('gcn', 'a graph network takes graphs, not arrays'),
    ],
)
def test_a_network_for_other_data(name, message, own_data_dir):
    config = jmi_gaussian.get_config()
    config.net.name = name
    with pytest.raises(ValueError) as error:
        build.setup(config)
    assert message in str(error.value)


def source(labels, held_out=20):
    y = np.asarray(labels, np.int32)
    test = data.Split(np.zeros((held_out, 2), np.float32), np.zeros(held_out, np.int32))
    train = data.Split(np.zeros((len(y), 2), np.float32), y)
    return inputs.Source('points', len(y), train.x[0], train, test, ('a', 'b'), None, None)


FEW = [
    (('1%',), 100, "'1%' is 2 labelled examples, and a linear probe needs 5"),
    (('all', '2 a class'), 100, "'2 a class' is 4 labelled examples"),
    (('all',), 4, "'all' is 4 labelled examples"),
    (('51 a class',), 100, 'cannot choose 51 examples of class 0: it has 50'),
    ((3,), 100, "unknown probe.labels '3'"),
]


@pytest.mark.parametrize('labels, size, message', FEW)
def test_probes_on_fewer_labels_than_they_need_are_refused(labels, size, message):
    config = jmi_gaussian.get_config()
    config.probe.at_end, config.probe.labels = True, labels
    with pytest.raises(ValueError) as error:
        checks.probes(config, source(np.arange(size) % 2))
    assert message in str(error.value)


def test_a_description_of_data_is_held_to_no_number_of_labels():
    """An encoder is loaded without its data, whatever its run measured on them."""
    config = jmi_gaussian.get_config()
    config.probe.at_end, config.probe.labels = True, ('all', '1%', '10 a class')
    config.batch_size, config.mi.examples = 10, 15
    alone = inputs.described(inputs.describe(source(np.arange(100) % 2)))
    checks.probes(config, alone)
    checks.numbers(config, alone)


def test_what_streamed_labels_cannot_be_is_refused_without_reading_them():
    config, held = jmi_gaussian.get_config(), source(np.arange(100) % 2)
    config.probe.at_end, streamed = True, held._replace(train=None)
    for labels, message in ((('51 a class',), 'are 102 examples of 2 classes'), (('x',), "'x'")):
        config.probe.labels = labels
        with pytest.raises(ValueError, match=message):
            checks.probes(config, streamed)
    config.probe.labels = ('all', '1%', '50 a class')
    checks.probes(config, streamed)


def test_names_are_checked_where_no_probe_is_asked_for_yet():
    config = jmi_gaussian.get_config()
    config.probe.at_end, config.probe.labels = False, ('al',)
    with pytest.raises(ValueError, match="did you mean 'all'"):
        checks.probes(config, source(np.arange(100) % 2))
    config.probe.labels = ('500 a class',)  # other data may have them
    checks.probes(config, source(np.arange(100) % 2))


@pytest.mark.parametrize(
    'field, value, message',
    [
        ('examples', 99, 'mi.examples=99, but points has 20 such examples'),
        ('examples', 1, 'mi.examples=1 of 20 held-out examples of points'),
        ('batch_size', 1, 'mi.batch_size=1 must be at least 2'),
    ],
)
def test_what_mutual_information_is_measured_on(field, value, message):
    config = jmi_gaussian.get_config()
    config.batch_size, config.mi[field] = 10, value
    with pytest.raises(ValueError) as error:
        checks.numbers(config, source(np.arange(100) % 2))
    assert message in str(error.value)
