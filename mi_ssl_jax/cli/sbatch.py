"""Directives of SLURM batch files; sbatch splits a line at spaces that are not quoted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any


def directives(options: Mapping[str, Any]) -> list[str]:
    """One line an option, '#SBATCH --name=value'; True for an option without a value, None for one
    that is left out.
    """
    return [
        f'#SBATCH --{name}' + ('' if value is True else f'={quoted(str(value))}')
        for name, value in options.items()
        if value is not None
    ]


def word(option: str) -> str:
    """A directive of an option as the shell hands it over: "--comment=a b"."""
    name, equals, value = option.partition('=')
    return f'#SBATCH {name}{equals}{quoted(value)}'


def quoted(value: str) -> str:
    """The value in double quotes where sbatch would split or change it."""
    if value and not set(value) & set(' \t"\'\\#$`'):
        return value
    escaped = value.replace('\\', '\\\\').replace('"', '\\"')
    return f'"{escaped}"' if value else value


def output(folder: Path, pattern: str) -> str:
    """A path for --output: percent signs of the folder are no pattern."""
    return f'{str(folder.absolute()).replace("%", "%%")}/{pattern}'
