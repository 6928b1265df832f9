"""Fine-tuning on labels: python -m mi_ssl_jax.finetune --workdir=runs/jmi_digits
--labels='10 a class' [--seeds=3] [--data.name=NAME]

The encoder and a linear classifier on it are trained on labelled examples by the field's protocol,
beside the same network from random weights; top-1 accuracies on the held-out split go into the
run's report. --weights, with --config for its data, takes an encoder from elsewhere. --data.name
names another data set for transfer; its inputs are normalised as in training. A killed command goes
on where it was.
"""

import sys
from argparse import Namespace
from pathlib import Path

from mi_ssl_jax.cli import finetuning as command
from mi_ssl_jax.cli import guard
from mi_ssl_jax.figures import finetuned, report, tables
from mi_ssl_jax.runs import after_training, encoders, exits, finetuning, transfer
from mi_ssl_jax.train import loop


def main() -> int:
    """Fine-tune with every set of labels; print the table and write the report."""
    options = command.arguments(__doc__.splitlines()[0])
    if options.workdir:
        encoder = transfer.of_run(options.workdir, branch=options.branch, best=options.best)
        out = options.out or options.workdir / finetuned.FOLDER
    else:
        encoder = transfer.of_weights(options.weights, options.config, say=print)
        out = options.out or Path(f'runs/finetune_{options.weights.resolve().stem}')
    task = transfer.prepare(encoder, transfer.on_data(encoder.config, options.changes))
    fields = finetuning.Settings._fields
    settings = finetuning.Settings(**{name: getattr(options, name) for name in fields})
    found = []
    for labels in options.labels:
        folder = out / finetuning.folder_name(task, labels, branch=options.branch)
        try:
            found.append(finetuning.finetune(task, labels, settings, folder, say=print))
        except loop.Diverged as error:
            print(f'error: {error}', file=sys.stderr)
            return exits.DIVERGED
    print(tables.text(finetuned.table(found)))
    print(f'wrote {_report(options, out, found)}')
    return 0


def _report(options: Namespace, out: Path, found: list[dict]) -> Path:
    """The run's report, with the results; a page of them alone where they are no part of a run."""
    if options.workdir and options.out is None:
        ready = encoders.setup(options.workdir)
        return report.write(options.workdir, after_training.collapses(ready, options.workdir))
    page = out / 'report.md'
    page.write_text(tables.markdown(finetuned.table(found)))
    return page


if __name__ == '__main__':
    sys.exit(guard.guard(main))
