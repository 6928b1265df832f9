"""What all tests share: compiled programs kept between runs, and the folder of real images where
there is one."""

import os
import pathlib
from collections.abc import Iterator

import pytest

# JAX reads these when it is imported, here and in the processes that tests start. Every program is
# worth keeping: the suite compiles hundreds of small ones, and recompiling them costs more than
# reading them back.
CACHE = pathlib.Path(__file__).parents[1] / '.cache' / 'jax'
os.environ.setdefault('JAX_COMPILATION_CACHE_DIR', str(CACHE))
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
os.environ.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')
# The commands add a flag of their own where there is none; the tests compile everything alike.
os.environ.setdefault('XLA_FLAGS', '')


# The unit tier: the maths, the methods against others' values, and the import law.
UNIT = ('core', 'methods/test_golden_methods.py', 'methods/test_load.py', 'test_layering.py')


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of the unit tier by where they stand. What chex repeats without jit, where
    every operation is compiled by itself, is slow.
    """
    tests = pathlib.Path(__file__).parent
    for item in items:
        if '__without_jit' in item.name:
            item.add_marker(pytest.mark.slow)
        slow = item.get_closest_marker('slow') is not None
        place = item.path.relative_to(tests)
        if not slow and any(place.is_relative_to(part) for part in UNIT):
            item.add_marker(pytest.mark.unit)


@pytest.fixture(scope='session')
def test_data() -> pathlib.Path:
    """The folder of samples of real image data sets: tfds/ (prepared) and raw/ (as downloaded)."""
    folder = os.environ.get('MI_SSL_TEST_DATA')
    if not folder:
        pytest.skip('needs real images: set MI_SSL_TEST_DATA to a folder with tfds/ and raw/')
    return pathlib.Path(folder)


@pytest.fixture(scope='module')
def own_data_dir(tmp_path_factory) -> Iterator[pathlib.Path]:
    """A folder of the module's own for prepared data sets."""
    folder = tmp_path_factory.mktemp('tfds')
    patch = pytest.MonkeyPatch()
    patch.setenv('TFDS_DATA_DIR', str(folder))
    yield folder
    patch.undo()
