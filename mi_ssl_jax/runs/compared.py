"""Runs side by side: what their files hold, whether they have collapsed, their embeddings."""

from collections.abc import Callable, Sequence
from pathlib import Path

from mi_ssl_jax.data import npy
from mi_ssl_jax.evals import collapse
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.figures.comparing import columns, embedding, markup, series, summary
from mi_ssl_jax.figures.comparing.summary import Summary

NO_COLLAPSE = 'no'
# Values of the right form and the wrong kind, in a file that something else has written.
MISSHAPEN = (ArithmeticError, AttributeError, LookupError, TypeError)


def read(
    folders: Sequence[Path], *, embed: bool = False, say: Callable[[str], None] = print
) -> tuple[list[Summary], list[str]]:
    """Read the runs, each folder once.

    Args:
        folders: of runs.
        embed: encode the held-out examples of runs that have no embeddings, or older ones than
            their training, as the command embed does.
        say: told of each run that is encoded.

    Returns:
        The runs, and a line for each folder that is left out.
    """
    found, left_out = [], []
    for folder in {folder.resolve(): folder for folder in folders}.values():
        try:
            found.append(_read(folder, embed, say))
        except ValueError as error:
            left_out.append(str(error))
        except MISSHAPEN as error:
            left_out.append(f'{folder} holds no run: {type(error).__name__}, {error}')
    names = summary.names([run.folder for run in found])
    return [run._replace(name=name) for run, name in zip(found, names, strict=True)], left_out


def _read(folder: Path, embed: bool, say: Callable[[str], None]) -> Summary:
    run = summary.read(folder)
    notes = list(run.notes)
    verdict = _verdict(run.run)
    points = None
    try:
        if embed and _embedded(folder) is not None:
            say(f'encoding the held-out examples of {folder}')
            _embed(folder)
        points = _embedding(folder, notes)
    except (ValueError, *MISSHAPEN) as error:
        notes.append(f'no embeddings of {folder}: {error}')
    found = run._replace(notes=tuple(notes), verdict=verdict, embedding=points)
    # What would end the page is found here, where it leaves out one run.
    columns.of([found])
    markup.data('', series.payload([found]))
    return found


def _verdict(run: run_files.Run) -> str | None:
    """What the newest evaluation shows of a collapse; None where it cannot be said."""
    history = [line['collapse'] for line in run.lines if 'collapse' in line]
    width = run_files.width(run)
    if len(history) < 2 or not width:
        return None
    try:
        kinds = collapse.kinds(collapse.findings(history, width))
    except KeyError:  # a log without all of the figures
        return None
    several = len(history[-1]) > 1
    words = [f'{branch}: {kind}' if several else kind for branch, kind in kinds.items()]
    return '; '.join(words) or NO_COLLAPSE


def _embedded(folder: Path) -> str | None:
    """Why there are no embeddings of the run as it stands; None where there are."""
    path = folder / 'embeddings' / 'test_z.npy'
    if not path.exists():
        return 'there are none'
    if path.stat().st_mtime < (folder / 'metrics.jsonl').stat().st_mtime:
        return f'{path} is older than the training'
    return None


def _embed(folder: Path) -> None:
    from mi_ssl_jax.runs import embeddings  # with the networks, which no other run needs

    embeddings.write(folder, folder / 'embeddings', branch=None, seed=0)


def _embedding(folder: Path, notes: list[str]) -> embedding.Embedding | None:
    path = folder / 'embeddings' / 'test_z.npy'
    if not path.exists():
        return None
    stale = _embedded(folder)
    if stale:
        notes.append(f'{stale}: python -m mi_ssl_jax.embed --workdir={folder} makes them anew')
    classes = path.with_name('class_names.json')
    remedy = 'remove it, or embed again'
    names = run_files.json_value(classes, list, remedy) if classes.exists() else []
    z, labels = npy.load(path, mapped=True), npy.load(path.with_name('test_labels.npy'))
    return embedding.project(z, labels, [str(name) for name in names])
