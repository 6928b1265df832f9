"""The end of a run: probes where the labels are worth probing, pictures, a report, an export."""

from pathlib import Path

from mi_ssl_jax.evals import collapse
from mi_ssl_jax.experiment import build as experiments
from mi_ssl_jax.figures import run_files
from mi_ssl_jax.runs import exporting, probes, recording, restoring, signals


def finish(ready: experiments.Setup, workdir: Path) -> None:
    """Probe, warn, draw and report; a signal ends it at once, since the training is saved."""
    standing = 'after training, which is saved; run the same command for the rest'
    with signals.watched(lambda: standing, at_once=True):
        _finish(ready, workdir)


def _finish(ready: experiments.Setup, workdir: Path) -> None:
    """Probe (once), warn of a collapse, draw, report, export; prints what a person wants to see
    first.
    """
    # matplotlib is slow to import, and bad input should not wait for it
    from mi_ssl_jax.figures import one_run, report

    if ready.config.probe.at_end and ready.source.classes:
        print(probes.text(probed(ready, workdir)))
    warnings = collapses(ready, workdir)
    for line in warnings:
        print(line)
    for picture in one_run.draw(workdir):
        print(f'drew {picture}')
    print(f'wrote {report.write(workdir, warnings)}')
    for file in exported(ready, workdir):
        print(f'wrote {file}')


def probed(ready: experiments.Setup, workdir: Path, *, before: list[dict] | None = None) -> dict:
    """The run's probe.json, made anew when it is missing, damaged, of another epoch or of other
    settings. before: see probes.probe.
    """
    path = workdir / 'probe.json'
    if path.exists():
        try:
            result = run_files.probe_result(path)
        except ValueError as error:
            print(error)
        else:
            if result['settings'] == probes.settings(ready):
                return result
    population, _ = restoring.restore(ready, workdir)
    return probes.write(ready, population, workdir, before=before)


def exported(ready: experiments.Setup, workdir: Path) -> list[Path]:
    """The files of exported/, written where the configuration asks for it: the first encoder that
    is trained, of the first seed.
    """
    form = ready.config.export
    return [] if form == 'none' else exporting.write(workdir, workdir / 'exported', form=form)


def collapses(ready: experiments.Setup, workdir: Path) -> list[str]:
    """One line a collapsed branch, from the run's own figures."""
    history = recording.collapse_figures(workdir / 'metrics.jsonl')
    return [
        f'{branch}: {sentence}'
        for branch, sentence in collapse.findings(history, ready.width).items()
    ]
