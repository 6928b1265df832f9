"""Exit statuses of runs that end early, and one-line messages for a full disk or a full device."""

import errno
import os
import shutil

BAD_INPUT, DIVERGED, COLLAPSED, UNWRITABLE, NO_MEMORY = 2, 3, 4, 5, 6
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Of a path that the user gave: no such one, one of another kind, or one without the right to it.
NO_ENTRY = (
    errno.ENOENT,
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.EEXIST,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)


class Stopped(Exception):
    """A command ends early although its input is good; the message is one line. status: its exit
    status.
    """

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


def no_room(error: OSError) -> str:
    """A full disk in words: the file, the reason, what is free."""
    path = os.path.abspath(error.filename or '.')
    free = shutil.disk_usage(os.path.dirname(path)).free
    return f'cannot write {path}: {error.strerror} ({free / 1e6:.1f} MB free)'


def no_memory(error: RuntimeError) -> str:
    """A full device in words, with the fields that need less of it."""
    said = str(error).splitlines()[0]
    return (
        'out of device memory: lower batch_size, set method.block_size (losses with N x N critics)'
        " or mi.batch_size (if it was the evaluation), or use net.dtype='bfloat16'; the last"
        f' checkpoint stays ({said})'
    )
