"""What is wrong with a configuration file, a field or a value is said in one line."""

import sys

import pytest
from absl import flags
from ml_collections import config_flags

from mi_ssl_jax.cli import config_file

GOOD = 'configs/jmi_gaussian.py'


def said(*words):
    """The error of a command line."""
    values, argv = flags.FlagValues(), ['main', *words]
    config_flags.DEFINE_config_file('config', None, '', flag_values=values, sys_argv=argv)
    flags.DEFINE_integer('steps', 1, '', flag_values=values)
    with pytest.raises(ValueError) as error:
        config_file.parse(values, argv, usage='')
    message = str(error.value)
    assert '\n' not in message and 'Traceback' not in message
    return message


FILES = [
    ('{', 'is not a Python file (line 1): give one such as those of configs/'),
    ('\0', 'is not a Python file'),
    ('', 'defines no get_config()'),
    ('get_config = 3', 'defines no get_config()'),
    ('def get_config(): return 3', 'gives int in the place of a ConfigDict'),
    ('def get_config(): pass', 'gives NoneType in the place of a ConfigDict'),
    ('def get_config(x): return x', 'fails: TypeError: get_config() missing 1 required'),
    (
        '\ndef get_config(): return 1 / 0',
        'fails: ZeroDivisionError: division by zero ({file}, line 2)',
    ),
    ('raise SystemExit(3)', 'fails: SystemExit: 3 ({file}, line 1)'),
    ('import nosuch', "fails: No module named 'nosuch' ({file}, line 1)"),
    ('import configs_of_mine', "fails: No module named 'configs_of_mine'"),
    ('from configs import nosuch', "fails: cannot import name 'nosuch'"),
    ('import configs.nosuch', "fails: No module named 'configs.nosuch' ({file}, line 1)"),
    ('{"seed": false}', "fails: NameError: name 'false' is not defined"),
    (
        'from ml_collections import ConfigDict\ndef get_config(): return ConfigDict({"seed": 1})',
        'lacks accumulate, batch_size, check_replicas, checkpoint.best, checkpoint.epochs and 5',
    ),
]


@pytest.mark.parametrize('text, message', FILES)
def test_a_wrong_file_is_named_with_the_reason(text, message, tmp_path):
    file = tmp_path / 'my.py'
    file.write_text(text)
    assert said(f'--config={file}').startswith(f'{file} {message.format(file=file)}')


def test_a_file_that_needs_the_checkout_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'configs', None)
    (tmp_path / 'my.py').write_text('import configs')
    assert 'which is not here: run the command from the checkout' in said(
        f'--config={tmp_path / "my.py"}'
    )


def test_what_is_no_file(tmp_path):
    assert said('--config=') == 'no configuration : give configs/NAME.py'
    assert said(f'--config={tmp_path}') == f'no configuration {tmp_path}: give configs/NAME.py'
    assert said('--config') == 'Missing value for flag --config'


WORDS = [
    ('--config.epochs=1e30', "--config.epochs='1e30' must be a whole number"),
    ('--config.batch_size=2.5', "--config.batch_size='2.5' must be a whole number"),
    ('--config.batch_size=', "--config.batch_size='' must be a whole number"),
    ('--config.lr=1/3', "--config.lr='1/3' must be a number"),
    ('--config.lr=0,1', "--config.lr='0,1' must be a number"),
    ('--config.probe.online=maybe', "--config.probe.online='maybe' must be True or False"),
    ('--config.probe.labels=(1 %,)', 'must be a tuple, such as "(64, 3)"'),
    ('--steps=abc', "--steps='abc' must be a whole number"),
    ('--lr=1', "Unknown command line flag 'lr'; fields are set by --config.lr=VALUE"),
    ('--config.optimizer=adam', 'set one of them, such as --config.optimizer.name=...'),
    ('--config.net=resnet18', 'set one of them, such as --config.net.name=...'),
    ('--config.net.options=x', f"'net.options' is a group of options: set them in {GOOD}"),
    ('--config.views.options.jitter_p=1', f'{GOOD} has views.options.sigma: add others there'),
    ('--config.views.options.sigm=1', "did you mean 'views.options.sigma'?"),
    ('--config.net.options.mlp.width=1', f'{GOOD} has nothing in net.options: add others there'),
    ('--config.method.temp=1', "did you mean 'method.temperature'?"),
    ('--config.num_layers=1', "no config field 'num_layers'; did you mean 'net.projector'?"),
]


@pytest.mark.parametrize('word, message', WORDS)
def test_a_wrong_word_is_met_by_what_it_takes(word, message):
    assert message in said(f'--config={GOOD}', word)
