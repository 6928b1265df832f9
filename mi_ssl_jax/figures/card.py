"""The card of an exported encoder: how it is used, how it was trained, how its numbers were
measured.
"""

from pathlib import Path

from mi_ssl_jax.figures import report, run_files


def text(
    workdir: Path, *, use: str, about: list[str], branch: str, epoch: float, best: bool
) -> str:
    """README.md of an exported folder.

    Args:
        workdir: the run's folder.
        use: Python that computes features in the folder.
        about: facts about the encoder and its inputs, a line each.
        branch: which of the run's encoders it is.
        epoch: of its checkpoint.
        best: whether that is the best evaluation's instead of the last.
    """
    run = run_files.read(workdir)
    run = run._replace(lines=[line for line in run.lines if line['epoch'] <= epoch])
    which = 'the best evaluation' if best else 'the end'
    seeds = run.config['seeds']
    of = f', one of {seeds} seeds; the numbers below are of all of them' if seeds > 1 else ''
    sections = [
        f'# {run.config["net"]["name"]} by {run_files.look(run).label} on'
        f' {run.config["data"]["name"]}',
        f"Encoder '{branch}' after {epoch:g} epochs ({which} of the training){of}.",
        '\n'.join(f'- {line}' for line in about),
        '## Use, in this folder',
        f'```python\n{use.strip()}\n```',
        '## Training',
        '\n'.join(f'- {line}' for line in report.facts(run)),
    ]
    if run_files.keys(run, 'mi'):
        sections += ['## Mutual information', report.information(run)]
    probes = workdir / ('probe_best.json' if best else 'probe.json')
    if probes.exists():
        sections += ['## Probes', report.probes(run_files.probe_result(probes), run)]
    else:
        sections.append(f'Not probed: there was no {probes.name} when this was exported.')
    return '\n\n'.join(section.strip() for section in sections) + '\n'
