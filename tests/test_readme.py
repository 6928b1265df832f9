"""The README's example of a method runs as it is printed, and its commands name files that
exist."""

import re
from pathlib import Path

import numpy as np
import pytest

from mi_ssl_jax.runs import run

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / 'README.md').read_text()


def test_the_example_method_trains(tmp_path, monkeypatch):
    files = dict(re.findall(r'```python\n# (\w+\.py)\n(.*?)```', TEXT, flags=re.DOTALL))
    assert set(files) == {'my_method.py', 'my_gaussian.py'}
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


@pytest.mark.parametrize(
    'path', sorted(set(re.findall(r'(?:configs|launch|tests)/[\w/]+\.(?:py|sh)', TEXT)))
)
def test_files_that_the_readme_names_exist(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize('module', sorted(set(re.findall(r'python -m (mi_ssl_jax[\w.]*)', TEXT))))
def test_commands_that_the_readme_names_exist(module):
    path = ROOT / module.replace('.', '/')
    assert path.with_suffix('.py').exists() or (path / '__main__.py').exists()


def test_pictures_of_the_readme_exist():
    pictures = re.findall(r'!\[[^\]]*\]\(([^)]+)\)', TEXT)
    assert pictures and all((ROOT / picture).exists() for picture in pictures)
