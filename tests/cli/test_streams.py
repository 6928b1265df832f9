"""Work goes on when nobody reads what a command prints."""

import os
import subprocess
import sys

import pytest

from tests.helpers import subprocesses

CODE = """
import sys
from mi_ssl_jax.cli import guard
def command():
    for number in range(20000):
        print('line', number)
    print('complaint', file=sys.stderr)
    open('done', 'w').close()
sys.exit(guard.guard(command))
"""


@pytest.mark.parametrize(
    'ending', ['| head -1 >/dev/null', '>/dev/full', '>&-', '2>&- >&-', '2>/dev/full', '| true']
)
def test_a_command_outlives_its_readers(ending, tmp_path):
    if '/dev/full' in ending and not os.path.exists('/dev/full'):
        pytest.skip('needs /dev/full')
    (tmp_path / 'command.py').write_text(CODE)
    line = f'"{sys.executable}" command.py {ending}; exit ${{PIPESTATUS[0]}}'
    result = subprocess.run(
        ['bash', '-c', line],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=subprocesses.environment(),
    )
    assert (tmp_path / 'done').exists() and result.returncode == 0, result.stderr
    assert 'Traceback' not in result.stderr and 'ignored' not in result.stderr
