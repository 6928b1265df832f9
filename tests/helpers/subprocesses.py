"""The environment of a process that a test starts."""

import os
import pathlib

ROOT = pathlib.Path(__file__).parents[2]


def environment(path: pathlib.Path = ROOT, **variables: str) -> dict[str, str]:
    """This process's environment with `path` before whatever PYTHONPATH holds already (a package
    may be found through it alone), and these variables."""
    before = [str(path), *filter(None, [os.environ.get('PYTHONPATH')])]
    return {**os.environ, 'PYTHONPATH': os.pathsep.join(before), **variables}
