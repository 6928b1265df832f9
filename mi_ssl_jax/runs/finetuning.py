"""Fine-tuning an encoder on labelled examples, beside the same network from random weights.

finetune/DATA_LABELS/  of a run: result.json  accuracies, as far as they are known; labels-0.txt
the examples that are labelled; checkpoints/  where the fine-tuning that goes on stands. A killed
command goes on from there: the same steps, on a CPU to the bit.
"""

import contextlib
import hashlib
import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from mi_ssl_jax.core import streams
from mi_ssl_jax.evals import features, finetuning
from mi_ssl_jax.experiment import inputs
from mi_ssl_jax.figures import finetuned
from mi_ssl_jax.runs import labelled, run_folder, signals
from mi_ssl_jax.runs.checkpoint import Store
from mi_ssl_jax.runs.transfer import Task
from mi_ssl_jax.train import loop

Say = Callable[[str], None]

STARTS = ('pretrained', 'scratch')
CHUNK = 50  # steps between two looks at the loss
SAVE_SECONDS = 60.0
AGAIN = 'run the same command to continue from there'


class Settings(NamedTuple):
    """Numbers that replace the protocol's; None for the protocol's own."""

    seeds: int = 1
    batch_size: int = finetuning.BASE_BATCH
    epochs: int | None = None
    backbone_lr: float | None = None  # of the pretrained one
    head_lr: float | None = None
    scratch_lr: float | None = None  # of both, from random weights


def folder_name(task: Task, labels: str, *, branch: str | None) -> str:
    """'digits_10-a-class', 'cifar100_all_xi_best': of a data set and its labels. branch: where one
    was asked for.
    """
    words = [task.source.name, re.sub(r'[^\w.%]+', '-', Path(labels).name).replace('%', 'pc')]
    best = task.encoder.facts.get('best')
    return '_'.join(words + ([branch] if branch else []) + (['best'] if best else []))


def finetune(task: Task, labels: str, settings: Settings, folder: Path, *, say: Say) -> dict:
    """Fine-tune with every seed, from the encoder and from random weights, from where the folder
    stands. Returns what result.json holds.

    Args:
        task: the encoder and its data.
        labels: see `labelled.choose`.
        settings: seeds, and numbers that replace the protocol's.
        folder: for the results.
        say: told what a person should know.

    Raises:
        ValueError: labels that cannot be, or a folder of other settings or in use.
        train.loop.Diverged: a loss that is not finite.
        signals.Interrupted: SIGINT or SIGTERM, after what was done is saved.
    """
    labelled.check(labels, task.source)
    standing = lambda: f'what was finished is saved; {AGAIN}'
    with run_folder.claim(folder), signals.watched(standing, at_once=True):
        result = _result(task, labels, settings, folder)
        for start in STARTS:
            row = next(row for row in result['rows'] if row['start'] == start)
            if len(row['seeds']) < settings.seeds:
                _finish_row(task, labels, settings, folder, result, row, say)
        return finetuned.result(folder / 'result.json')


def _finish_row(
    task: Task,
    labels: str,
    settings: Settings,
    folder: Path,
    result: dict,
    row: dict,
    say: Say,
) -> None:
    """Fine-tune with the seeds that a row lacks; each is written as soon as it is known."""
    compiled: dict[finetuning.Protocol, finetuning.Programs] = {}
    for seed in range(len(row['seeds']), settings.seeds):
        chosen = labelled.choose(labels, task.source, task.config, draw=seed)
        own = _protocol(len(chosen.indices), task, settings, row['start'])
        if own not in compiled:
            compiled[own] = finetuning.compile_programs(
                task.network, view=task.view, plain=task.plain, own=own, classes=task.source.classes
            )
        if labels != 'all':
            text = ''.join(f'{index}\n' for index in chosen.indices)
            (folder / f'labels-{seed}.txt').write_text(text)
        state = _begin(task, chosen, compiled[own], own, row['start'], seed)
        scratch = folder / 'checkpoints' / f'{row["start"]}-{seed}'
        state = _train(task, chosen, compiled[own], own, state, seed, scratch, say)
        top1, top5 = _accuracies(task, compiled[own], state)
        row['seeds'].append(top1)
        row['top5'].append(top5)
        row['labelled'].append(chosen.digest)
        row['protocol'] = finetuning.describe(own)
        run_folder.write_json(folder / 'result.json', result)
        shutil.rmtree(scratch, ignore_errors=True)
        say(f'{task.source.name}, {labels}, {row["start"]}, seed {seed}: {top1:.2f} %')


def _protocol(count: int, task: Task, settings: Settings, start: str) -> finetuning.Protocol:
    rates = (settings.backbone_lr, settings.head_lr)
    if start == 'scratch':
        rates = (settings.scratch_lr, settings.scratch_lr)
    return finetuning.protocol(
        count,
        task.source.size,
        scratch=start == 'scratch',
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        backbone_lr=rates[0],
        head_lr=rates[1],
    )


def _begin(
    task: Task,
    chosen: labelled.Labelled,
    programs: finetuning.Programs,
    own: finetuning.Protocol,
    start: str,
    seed: int,
) -> finetuning.State:
    """The state before the first step."""
    if start == 'pretrained':
        variables = task.encoder.members[seed % len(task.encoder.members)]
    else:
        key = jax.random.fold_in(jax.random.PRNGKey(seed), streams.SCRATCH)
        x = jax.vmap(task.plain)(jax.tree.map(lambda leaf: leaf[None], task.source.example))
        variables = task.network.init(key, x, train=False)
    scale = finetuning.identity(task.width)
    if own.standardised:
        found = features.encode(
            lambda x: programs.features(variables, x),
            chosen.examples.x,
            batch_size=task.config.mi.batch_size,
        )
        scale = finetuning.standardising(found)
    return programs.start(variables, scale)


def _train(
    task: Task,
    chosen: labelled.Labelled,
    programs: finetuning.Programs,
    own: finetuning.Protocol,
    state: finetuning.State,
    seed: int,
    folder: Path,
    say: Say,
) -> finetuning.State:
    """All steps, from the last checkpoint in `folder` on."""
    key = jax.random.fold_in(jax.random.PRNGKey(seed), streams.TUNED)
    store = Store(folder, keep=1, report=say)
    standing = lambda: f'{store.standing()}; {AGAIN}'
    with contextlib.closing(store), signals.watched(standing) as asked:
        state = (store.restore(state) or (0, state, {}))[1]
        done, saved = int(state.step), time.monotonic()
        bar = tqdm(
            total=own.total,
            initial=done,
            desc=f'{folder.name}, {len(chosen.indices)} labels',
            unit='step',
            dynamic_ncols=True,
            disable=None,
        )
        feed = labelled.batches(chosen, task.source, task.config, own, seed=seed, taken=done)
        with contextlib.closing(feed), bar:
            for x, y in feed:
                if done == own.total:
                    break
                state, loss = programs.step(state, key, x, y)
                done += 1
                bar.update()
                if done % CHUNK and done != own.total and not asked:
                    continue
                _check_finite(float(loss), done, own)
                late = time.monotonic() - saved > SAVE_SECONDS
                if asked or late and done != own.total:
                    store.save(done, state, {'step': done, 'epoch': done / own.steps, 'best': None})
                    saved = time.monotonic()
                if asked:
                    store.wait()
                    raise signals.Interrupted(asked[0], f'at step {done} of {own.total}; {AGAIN}')
    return state


def _check_finite(loss: float, step: int, own: finetuning.Protocol) -> None:
    if not np.isfinite(loss):
        raise loop.Diverged(
            f'the loss is {loss} at step {step} of {own.total}, at rates {own.backbone_lr:g} and'
            f' {own.head_lr:g}: lower --backbone_lr, --head_lr or --scratch_lr'
        )


def _accuracies(
    task: Task, programs: finetuning.Programs, state: finetuning.State
) -> tuple[float, float]:
    """Top-1 and top-5 in percent on the held-out split."""
    size, scores, labels = task.config.mi.batch_size, [], []
    for batch in inputs.batches(task.source, 'test', size):
        scores.append(
            features.encode(lambda x: programs.scores(state, x), batch.x, batch_size=size)
        )
        labels.append(batch.y)
    return finetuning.accuracies(np.concatenate(scores), np.concatenate(labels))


def _result(task: Task, labels: str, settings: Settings, folder: Path) -> dict[str, Any]:
    """The folder's result.json, or that of nothing done yet.

    ValueError: it is of other settings, or damaged.
    """
    facts = {
        **task.encoder.facts,
        'data': task.source.name,
        'limit': task.config.data.limit,
        'network': task.config.net.name,
        'labels': labels,
        **{name: value for name, value in settings._asdict().items() if name != 'seeds'},
    }
    if labelled.is_file(labels):
        facts['sha256'] = hashlib.sha256(Path(labels).read_bytes()).hexdigest()
    facts = json.loads(json.dumps(facts))
    path = folder / 'result.json'
    if not path.exists():
        empty = [
            {'start': start, 'seeds': [], 'top5': [], 'labelled': [], 'protocol': ''}
            for start in STARTS
        ]
        return {'settings': facts, 'rows': empty}
    found = finetuned.result(path)
    kept = found['settings']
    names = sorted(name for name in {*facts, *kept} if facts.get(name) != kept.get(name))
    if names:
        listed = ', '.join(
            f'{name} ({kept.get(name)} there, {facts.get(name)} here)' for name in names
        )
        raise ValueError(
            f'{folder} holds another fine-tuning: {listed}; choose another folder with --out, or'
            ' remove it'
        )
    return found
