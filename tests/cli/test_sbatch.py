"""Batch files whose paths and options hold spaces and quotes."""

import shlex
from pathlib import Path

import pytest

from mi_ssl_jax.cli import sbatch


@pytest.mark.parametrize('value', ['plain', 'a b', "it's", 'say "so"', 'back\\slash', 'a#b'])
def test_a_value_comes_back_as_it_was(value):
    """sbatch splits its lines as a POSIX shell splits words."""
    (line,) = sbatch.directives({'comment': value})
    assert shlex.split(line.removeprefix('#SBATCH ')) == [f'--comment={value}']
    assert sbatch.word(f'--comment={value}') == line


def test_options_without_a_value_and_those_left_out():
    assert sbatch.directives({'requeue': True, 'time': None, 'nodes': 2}) == [
        '#SBATCH --requeue',
        '#SBATCH --nodes=2',
    ]


def test_a_percent_sign_in_a_folder_is_no_pattern(tmp_path):
    assert sbatch.output(tmp_path / '50%', '%j.out').endswith('/50%%/%j.out')
    assert sbatch.output(Path('/a'), '%j.out') == '/a/%j.out'
