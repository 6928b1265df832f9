"""The prepare command as a fixture."""

import pytest

from mi_ssl_jax.data import prepare as command


@pytest.fixture
def prepare(tmp_path, capsys):
    """Runs the prepare command into tmp_path/data: (exit code, stdout, lines of stderr)."""

    def run(name, source=None, *options):
        given = [name, f'--data_dir={tmp_path / "data"}', *options]
        code = command.main(given + ([] if source is None else [f'--source={source}']))
        output = capsys.readouterr()
        return code, output.out, output.err.strip().splitlines()

    return run
