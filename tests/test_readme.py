"""All documents: their paths, commands and flags exist, their code runs, their caps hold."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mi_ssl_jax.experiment import schema
from mi_ssl_jax.runs import run

ROOT = Path(__file__).parents[1]
CAPS = {  # document -> most lines (of configs/README.md without its table), most words
    'README.md': (130, 900),
    'configs/README.md': (80, None),
    'configs/OWN_DATA.md': (110, None),
    'launch/README.md': (90, None),
    'mi_ssl_jax/README.md': (100, None),
    'mi_ssl_jax/runs/README.md': (80, None),
    'mi_ssl_jax/runs/WEIGHTS.md': (80, None),
    'mi_ssl_jax/methods/README.md': (90, None),
    'mi_ssl_jax/evals/README.md': (90, None),
    'mi_ssl_jax/reproduce/README.md': (150, None),
    'mi_ssl_jax/bench/README.md': (80, None),
    'mi_ssl_jax/nets/README.md': (90, None),
    'tests/README.md': (50, None),
    'mi_ssl_jax/reproduce/RESULTS.md': (None, None),
    '.github/CONTRIBUTING.md': (None, None),
}
TEXTS = {name: (ROOT / name).read_text() for name in CAPS}
sys.path.insert(0, str(ROOT / 'launch'))
config_table = importlib.import_module('config_table')


def found(pattern):
    """(document, match) of a pattern in all documents, each once."""
    pairs = {(name, match) for name, text in TEXTS.items() for match in re.findall(pattern, text)}
    return sorted(pairs)


@pytest.mark.parametrize('name', CAPS)
def test_a_document_is_no_longer_than_its_cap(name):
    text, (lines, words) = TEXTS[name], CAPS[name]
    text = re.sub(r'<!-- the table.*<!-- end of the table -->', '', text, flags=re.DOTALL)
    assert lines is None or len(text.splitlines()) <= lines
    assert words is None or len(text.split()) <= words


def test_the_table_of_configurations_is_that_of_the_files():
    text = TEXTS['configs/README.md']
    assert config_table.filled(text) == text, 'run python launch/config_table.py --write'
    assert text.count('\n| `') >= 60


@pytest.mark.parametrize('name, target', found(r'\]\(([^)#\s]+)(?:#[^)]*)?\)'))
def test_links_lead_somewhere(name, target):
    if not target.startswith('https://'):
        assert ((ROOT / name).parent / target).resolve().exists()


@pytest.mark.parametrize('name, path', found(r'(?:configs|launch|tests)/[\w/]+\.(?:py|sh)'))
def test_files_that_are_named_exist(name, path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize('name, module', found(r'python -m (mi_ssl_jax[\w.]*)'))
def test_commands_that_are_named_exist(name, module):
    path = ROOT / module.replace('.', '/')
    assert path.with_suffix('.py').exists() or (path / '__main__.py').exists()


@pytest.mark.parametrize('name, field', found(r'--config\.([\w.]+)='))
def test_fields_that_are_named_exist(name, field):
    known = set(schema.FIELDS)
    if '.options.' in field:  # of views and networks: those that a configuration of own data has
        for own in ('jmi_arrays', 'jmi_series', 'jmi_scans'):
            config = importlib.import_module(f'configs.{own}').get_config()
            known |= {path for path, *_ in schema._leaves('', config.to_dict(), {})}
        field = f'.{field}'
    assert field in known or field.split('.')[0] in ('method',)


@pytest.mark.parametrize(
    'name, module, flag',
    [
        (name, module, flag)
        for name, (module, rest) in found(r'(?m)python -m mi_ssl_jax\.([\w.]+)([^#`\n]*)')
        for flag in re.findall(r'--(\w+)', rest.replace('--config.', ''))
        if flag not in ('config', 'help')
    ],
)
def test_flags_that_are_named_exist(name, module, flag):
    path = ROOT / 'mi_ssl_jax' / module.replace('.', '/')
    files = [path.with_suffix('.py')] if path.with_suffix('.py').exists() else path.glob('*.py')
    files = [*files, *(ROOT / 'mi_ssl_jax' / 'cli').glob('*.py')]
    text = ''.join(file.read_text() for file in files)
    assert f"'--{flag}'" in text or f"'{flag}'" in text


def blocks(name):
    """{file: code} of a document's Python blocks that begin with the file's name."""
    return dict(re.findall(r'```python\n# (\w+\.py)\n(.*?)```', TEXTS[name], flags=re.DOTALL))


def execute(code, folder):
    (folder / 'example.py').write_text(code)
    return subprocess.run(
        [sys.executable, 'example.py'],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        env={
            **os.environ,
            'JAX_PLATFORMS': 'cpu',
            'PYTHONPATH': f'{ROOT}:{os.environ.get("PYTHONPATH", "")}',
        },
    ).stdout


def test_the_readmes_library_example(tmp_path):
    (code,) = re.findall(r'```python\n(.*?)```', TEXTS['README.md'], flags=re.DOTALL)
    lines = execute(code, tmp_path).splitlines()
    bound, mi = float(lines[0].split()[-1]), float(lines[2].split()[2])
    assert 0 < bound < 10 and mi > 10  # eight dimensions with a hundredth of the variance as noise


def test_the_loop_of_ones_own(tmp_path):
    code = blocks('mi_ssl_jax/README.md')['own_loop.py']
    assert len([line for line in code.splitlines() if line.strip()]) <= 42
    (nats,) = re.findall(r'>= (\S+) nats', execute(code, tmp_path))
    assert 0.7 < float(nats) < np.log(500)


def test_the_estimate_of_ones_own(tmp_path):
    printed = execute(blocks('mi_ssl_jax/evals/README.md')['own_estimate.py'], tmp_path)
    assert abs(float(printed.split()[0]) - np.log(2)) < 0.1


@pytest.mark.slow
def test_the_probe_by_scikit_learn(tmp_path, monkeypatch):
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    config = importlib.import_module('configs.jmi_digits').get_config()
    config.epochs, config.warmup_epochs, config.probe.at_end = 1, 0, False
    run.run(config, tmp_path / 'runs' / 'jmi_digits')
    printed = execute(blocks('mi_ssl_jax/evals/README.md')['own_probe.py'], tmp_path)
    assert float(printed.split()[-1]) > 0.8


@pytest.mark.slow
def test_the_example_method_trains(tmp_path, monkeypatch):
    files = blocks('mi_ssl_jax/methods/README.md')
    assert set(files) == {'my_method.py', 'my_gaussian.py', 'my_net.py'}
    for name, code in files.items():
        (tmp_path / name).write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('TFDS_DATA_DIR', str(tmp_path / 'tfds'))
    import my_gaussian

    config = my_gaussian.get_config()
    config.epochs, config.batch_size, config.data.limit = 2, 100, 200
    ready = run.run(config, tmp_path / 'run')
    population, progress = run.restore(ready, tmp_path / 'run')
    kernel = population.first().variables['theta']['params']['backbone']['Dense_0']['kernel']
    assert progress['epoch'] == 2 and np.isfinite(kernel).all()
    config.net.name, config.net.projector, config.epochs = 'my_net:MyNet', (3,), 1
    ready = run.run(config, tmp_path / 'own_net')
    assert ready.width == 3 and run.restore(ready, tmp_path / 'own_net')[1]['epoch'] == 1
