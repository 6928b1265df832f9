"""One array of a .npy file that a command is given."""

from pathlib import Path

import numpy as np


def load(path: Path, *, mapped: bool = False) -> np.ndarray:
    """Read the array of a .npy file; nothing in it is executed.

    Args:
        path: the file.
        mapped: leave the array on the disk until it is used.

    Returns:
        The array.

    Raises:
        ValueError: in one line, for anything else.
    """
    left = 0
    try:
        array = np.load(path, mmap_mode='r', allow_pickle=False)
        if isinstance(array, np.memmap):
            left = path.stat().st_size - array.offset - array.nbytes
            array = array if mapped else np.array(array)
    except OSError as error:
        raise ValueError(f'cannot read {path}: {error.strerror or error}') from error
    except MemoryError as error:
        raise ValueError(f'{path} does not fit the memory: {error}') from error
    except Exception as error:  # a damaged header makes numpy stumble in many ways
        raise ValueError(
            f'{path} holds no plain array of numbers (pickled objects are not read): '
            'save it with numpy.save'
        ) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{path} holds several arrays: save the one that is meant with numpy.save')
    if left:
        raise ValueError(f'{path} holds more than its header says: it is damaged; save it again')
    return array
