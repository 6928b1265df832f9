"""One job of a search: train and probe its members, or go on where it stands."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.runs import after_training, probes, recording, run, run_folder, signals
from mi_ssl_jax.sweep import results, shared_program
from mi_ssl_jax.sweep.plan import Member, Search
from mi_ssl_jax.train import loop

Say = Callable[[str], None]


def work(search: Search, number: int, *, say: Say = tqdm.write) -> None:
    """Job `number`, until each of its members is finished or has diverged; those that are so are
    left alone.

    ValueError: a configuration that cannot work, or a folder in use. signals.Interrupted: SIGINT or
    SIGTERM.
    """
    job = search.jobs[number]
    left = unfinished(job)
    if len(job) == 1 and left:
        _alone(job[0], say)
    elif left:
        _together(job, left, search.folder / '.jobs' / f'{number:03d}', say)


def check(searches: Sequence[Search]) -> None:
    """ValueError, before the first search takes its time, for what would make a later one fail."""
    for search in searches[1:]:
        left = unfinished(search.members)
        if left:
            experiments.setup(left[0].config)


def unfinished(members: Sequence[Member]) -> list[Member]:
    """The members that still need work."""
    return [member for member in members if results.status(member) == 'unfinished']


def _alone(member: Member, say: Say) -> None:
    try:
        ready = run.run(member.config, member.folder, say=say)
    except loop.Diverged as error:
        results.diverged(member, str(error))
        return
    with _at_once():
        after_training.probed(ready, member.folder)
        after_training.exported(ready, member.folder)


def _together(job: Sequence[Member], left: Sequence[Member], folder: Path, say: Say) -> None:
    with run_folder.claim(folder):
        with _at_once():
            recording.check(job[0].config)
            ready = experiments.together(
                experiments.setup(job[0].config), [member.config for member in job]
            )
        why = shared_program.train(ready, job, folder, say=say)
        for member in left:
            if member.folder.name in why:
                results.diverged(member, why[member.folder.name])
        before = None  # of all members the same: they differ in what training does
        with _at_once():
            for member in tqdm(unfinished(left), desc='probes', unit='probe', disable=None):
                own = experiments.together(ready, [member.config])
                before = before or probes.untrained(own)
                after_training.probed(own, member.folder, before=before)
                after_training.exported(own, member.folder)
    shutil.rmtree(folder)  # each member has its own checkpoint


def _at_once():
    return signals.watched(
        lambda: 'between two saved steps; run the same command to continue', at_once=True
    )
