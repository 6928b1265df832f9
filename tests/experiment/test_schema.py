"""Every field has a unit and a range, and what is out of it is refused in one line."""

import importlib
import math

import pytest
from ml_collections import ConfigDict

from configs import jmi_digits, sdmi_gaussian
from configs.base import common, methods
from mi_ssl_jax import data
from mi_ssl_jax import methods as builders
from mi_ssl_jax.experiment import build, checks, fields, schema


def changed(**fields):
    config = sdmi_gaussian.get_config()
    with config.unlocked():
        for path, value in fields.items():
            *groups, last = path.split('__')
            node = config
            for group in groups:
                node = node[group]
            if last in node:
                del node[last]
            node[last] = value
    return config


BAD = [
    ({'seed': 99999999999999999999}, 'seed=99999999999999999999 must be at most 4,294,967,295'),
    ({'seed': -1}, 'seed=-1 must be at least 0'),
    ({'epochs': 99999999999999999999}, 'epochs=99999999999999999999 must be at most'),
    ({'epochs': 0}, 'epochs=0 must be at least 1'),
    ({'seeds': 99999999}, 'seeds=99999999 must be at most 10,000'),
    ({'seed': 2**32 - 1, 'seeds': 3}, 'seed=4294967295 and seeds=3 count up to 4,294,967,297'),
    ({'lr': 1e39}, 'lr=1e+39 must be at most 3.4e+38'),
    ({'optimizer__momentum': 1.0}, 'optimizer.momentum=1.0 must be below 1'),
    ({'net__projector': ('abc',)}, "net.projector='abc' must be a tuple of numbers, such as"),
    ({'net__projector': (3.5,)}, 'a width of net.projector=3.5 must be a whole number'),
    ({'views__options__sigma': -1.0}, 'views.options.sigma=-1.0 must be at least 0'),
    ({'views__options__sigma': math.nan}, 'views.options.sigma=nan must be finite'),
    ({'data__streamed': 'no'}, "data.streamed='no' must be True or False"),
    ({'data__dir': 3}, 'data.dir=3 must be text'),
    ({'probe__labels': 'all'}, "probe.labels='all' must be a tuple, such as ('all', '10%')"),
    ({'method__marginal_weight': -1.0}, 'method.marginal_weight=-1.0 must be at least 0'),
    ({'method': 'jmi'}, "method='jmi' must be a group"),
    ({'probe': 3}, "'probe' must be a group of fields, such as 'probe.online'"),
    ({'lr': math.nan}, 'lr=nan must be finite'),
    ({'lr': math.inf}, 'lr=inf must be finite'),
    ({'weight_decay': -0.1}, 'weight_decay=-0.1 must be at least 0'),
    ({'method__temperature': -1.0}, r'method.temperature=-1.0 must be at least 1e-06'),
    ({'method__temperature': 1e-45}, 'method.temperature=1e-45 must be at least'),
    ({'method__temperature': math.inf}, 'method.temperature=inf must be finite'),
    ({'optimizer__momentum': 2.0}, 'optimizer.momentum=2.0 must be below 1'),
    ({'optimizer__name': 'lamb'}, "optimizer.name='lamb': use 'sgd', 'adam', 'adamw' or 'lars'"),
    ({'optimizer__nesterov': 1}, 'optimizer.nesterov=1 must be True or False'),
    ({'optimizer__lars__eta': 0.0}, 'optimizer.lars.eta=0.0 must be above 0'),
    ({'optimizer__lars__ratio': 'raw'}, "optimizer.lars.ratio='raw': use 'whole' or 'parts'"),
    ({'schedule__start': 3.0}, 'schedule.start=3.0 must be at most 1'),
    ({'schedule__drops': 60}, 'schedule.drops=60 must be a tuple, such as'),
    ({'schedule__drops': (0.5,)}, 'an epoch of schedule.drops=0.5 must be a whole number'),
    ({'net__projector': (0,)}, 'a width of net.projector=0 must be at least 1'),
    ({'net__projector': (-5, 3)}, 'a width of net.projector=-5 must be at least 1'),
    ({'mode': 'fast'}, "mode='fast': use 'auto', 'scan', 'apart' or 'loop'"),
    ({'net__dtype': 'float16'}, "net.dtype='float16': use 'float32', 'bfloat16' or 'auto'"),
    ({'rollback__factor': 0.0}, 'rollback.factor=0.0 must be above 0'),
    ({'checkpoint__keep': True}, 'checkpoint.keep=True must be a whole number'),
]


@pytest.mark.parametrize('fields, message', BAD)
def test_a_value_out_of_its_range_is_one_line(fields, message):
    with pytest.raises(ValueError) as error:
        schema.check(changed(**fields), 'my.py')
    assert message in str(error.value) and '\n' not in str(error.value)


OPTIONS = [
    ('net', {'conv4': {'width': 0}}, 'net.options.conv4.width=0 must be at least 1'),
    ('net', {'conv4': {'width': 10**9}}, 'net.options.conv4.width=1000000000 must be at most'),
    (
        'net',
        {'mlp': {'widths': (8, -1)}},
        'a width of net.options.mlp.widths=-1 must be at least 1',
    ),
    ('net', {'mlp': 3}, 'net.options.mlp=3 must be a group'),
    ('net', {'resnet18': {'zero_init_residual': 2}}, 'zero_init_residual=2 must be True or False'),
    ('net', {'mlp': {'widths': ()}}, 'net.options.mlp.widths=() is empty: use a tuple'),
    ('data', {'separation': math.inf}, 'data.options.separation=inf must be finite'),
    ('data', {'nodes': 10**9}, 'data.options.nodes=1000000000 must be at most 100,000'),
    ('data', {'seed': -1}, 'data.options.seed=-1 must be at least 0'),
    ('views', {'views': 1}, 'views.options.views=1 must be at least 2'),
    ('views', {'size': 0}, 'views.options.size=0 must be at least 1'),
    ('views', {'size': 10**6}, 'views.options.size=1000000 must be at most 4,096'),
    ('views', {'jitter_p': 2}, 'views.options.jitter_p=2 must be at most 1'),
    ('views', {'edge_drop': 0.5}, 'views.options.edge_drop=0.5 must be a tuple, such as (0.1'),
    ('views', {'edge_drop': (0.5, 1.5)}, 'a number of views.options.edge_drop=1.5 must be at most'),
    ('views', {'blur_sigma': ('a', 'b')}, "blur_sigma='a' must be a tuple of numbers"),
]


@pytest.mark.parametrize('group, options, message', OPTIONS)
def test_options_of_networks_and_views_have_ranges_too(group, options, message):
    config = changed(**{f'{group}__options': ConfigDict(options)})
    with pytest.raises(ValueError) as error:
        schema.check(config, 'my.py')
    assert message in str(error.value) and '\n' not in str(error.value)
    config.views.name = config.net.name = 'my_module:own'  # whose options are its own affair
    if group == 'views':
        schema.check(config, 'my.py')


def test_every_number_and_switch_of_a_method_has_its_range():
    for name in builders.names():
        for argument, value in methods.arguments(name).items():
            if isinstance(value, bool | int | float):
                assert argument in fields.ARGUMENTS, (name, argument)
        config = common.base()
        config.method = common.method(name, **methods.arguments(name))
        schema.check_values(config)


def test_every_field_has_a_unit_and_the_base_is_in_range():
    schema.check_values(common.base())
    for name, field in schema.FIELDS.items():
        assert field.unit or field.choices, name
        assert field.kind in ('int', 'float', 'bool', 'str', 'widths', 'epochs', 'names', 'open')


@pytest.mark.parametrize(
    'wrong, right',
    [
        ('learning_rate', 'lr'),
        ('num_epochs', 'epochs'),
        ('batchsize', 'batch_size'),
        ('tau', 'method.temperature'),
        ('wd', 'weight_decay'),
        ('net.dtyp', 'net.dtype'),
        ('LR', 'lr'),
        ('optimizer.lr', 'lr'),
        ('data_name', 'data.name'),
        ('knn_k', 'probe.knn_neighbours'),
        ('mixed_precision', 'net.dtype'),
        ('output_dir', '--workdir'),
    ],
)
def test_a_wrong_name_is_met_by_its_meaning(wrong, right):
    assert schema.nearest(wrong, {*schema.FIELDS, 'method.temperature'}) == (
        f"; did you mean '{right}'?"
    )
    for none in ('qqqq', 'resume', 'dropout'):
        assert schema.nearest(none, schema.FIELDS) == ''


def test_the_text_marks_what_differs_and_has_the_units():
    lines = schema.text(sdmi_gaussian.get_config(), common.base()).splitlines()
    marked = {line.split()[1] for line in lines if line.startswith('* ')}
    assert {'method.name', 'data.name', 'lr'} <= marked and 'seed' not in marked
    assert any(line.startswith('  log_every') and line.endswith('steps') for line in lines)


@pytest.mark.parametrize(
    'labels, message',
    [
        (('al',), "unknown probe.labels 'al'; use 'all'"),
        (('500 a class',), 'cannot choose 500 examples of class 0: it has'),
        (('0 a class',), 'cannot choose 0 examples'),
    ],
)
def test_probes_are_checked_before_the_first_step(labels, message, tmp_path):
    config = jmi_digits.get_config()
    config.data.dir = str(tmp_path)
    with config.unlocked():
        config.probe.labels = labels
    with pytest.raises(ValueError) as error:
        build.setup(config)
    assert message in str(error.value)


def test_seeds_that_do_not_fit_the_memory_say_how_many_do(monkeypatch, tmp_path):
    config = sdmi_gaussian.get_config()
    config.data.dir, config.seeds = str(tmp_path), 50
    monkeypatch.setattr(checks.parallel, 'memory', lambda layout: 10**5)
    with pytest.raises(ValueError, match=r'seeds=50 need .* GB .*: use at most \d'):
        build.setup(config)


def test_label_sets_check_names_without_labels():
    assert list(data.label_sets(None, ('all', '1%', '5 a class'))) == ['all', '1%', '5 a class']
    with pytest.raises(ValueError, match="did you mean '10%'"):
        data.label_sets(None, ('10 %',))


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'schedule__name': 'steps'}, "schedule.name='steps' with drops=(), final=0: give the"),
        (
            {'schedule__name': 'steps', 'schedule__drops': (9,), 'schedule__final': 0.1},
            "schedule.name='steps' with drops=(9,), final=0.1: give the",
        ),
        ({'schedule__drops': (9,)}, "schedule.drops=(9,) is of schedule.name='steps': set both"),
        (
            {'schedule__name': 'steps', 'schedule__drops': (10**6,)},
            'schedule.drops=(1000000,) must lie before epochs=',
        ),
    ],
)
def test_a_schedule_that_would_say_nothing_is_one_line(fields, message):
    with pytest.raises(ValueError) as error:
        checks.schedule(changed(**fields))
    assert message in str(error.value) and '\n' not in str(error.value)


def earlier(name):
    """The stored form of a configuration before the fields in schema.LATER were there."""
    config = importlib.import_module(f'configs.{name}').get_config().to_dict()
    del config['schedule'], config['optimizer']['lars'], config['optimizer']['nesterov']
    for argument in schema.LATER_ARGUMENTS.get(config['method']['name'], {}):
        del config['method'][argument]
    return config


@pytest.mark.parametrize('name', ['barlow_digits', 'simclr_cifar10', 'byol_digits', 'jmi_digits'])
def test_an_earlier_run_is_brought_up_to_date_as_it_was(name):
    """The fields that came later have the values that change nothing: those of the base."""
    config = importlib.import_module(f'configs.{name}').get_config()
    assert schema.renewed(earlier(name)) == config.to_dict()
    changed_ = earlier(name)
    changed_['optimizer']['lars'] = {'eta': 0.02}
    found = schema.renewed(changed_)['optimizer']['lars']
    assert found == {**config.optimizer.lars.to_dict(), 'eta': 0.02}


def test_later_arguments_are_the_bases():
    """What an earlier version stored is no other method than what it trained."""
    for method, own in schema.LATER_ARGUMENTS.items():
        assert own.items() <= methods.arguments(method).items(), method
