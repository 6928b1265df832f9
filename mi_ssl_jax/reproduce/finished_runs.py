"""Tables and pictures from finished runs: Table 1, Figure 4, information and other figures without
labels against accuracy; without JAX.
"""

from collections.abc import Sequence
from pathlib import Path

from mi_ssl_jax.figures import probes, tables
from mi_ssl_jax.figures.paper import figure4 as bars
from mi_ssl_jax.figures.paper import scatter as clouds
from mi_ssl_jax.figures.paper import table1 as accuracies


def table1(*, runs: Sequence[Path], workdir: Path) -> None:
    """Linear-probe accuracies beside the paper's."""
    found, left_out = probes.read_all(runs)
    pools = probes.pools(found)
    inside = [pool for pool in pools if accuracies.inside(pool)]
    if not inside:
        raise ValueError(
            f'{pools[0].variant} on {pools[0].data} is not in Table 1: give runs of the '
            'configurations configs/METHOD_DATA.py'
        )
    left_out += _missing('Table 1', [pool for pool in pools if pool not in inside])
    write(
        workdir,
        '# Linear-probe accuracies (Table 1)',
        [accuracies.table(inside), accuracies.settings(inside)],
        left_out,
    )


def figure4(*, runs: Sequence[Path], workdir: Path) -> None:
    """SDMI without its marginal term and SimSiam without its predictor, as bars."""
    found, left_out = probes.read_all(runs)
    pools = probes.pools(found)
    picture = bars.draw(pools, workdir / 'figures' / 'figure4.png')
    inside = list(bars.variants(pools).values())
    left_out += _missing('Figure 4', [pool for pool in pools if pool not in inside])
    write(
        workdir,
        '# Ablations on images (Figure 4)',
        [bars.table(inside), accuracies.settings(inside)],
        left_out,
        [picture],
    )


def scatter(*, runs: Sequence[Path], workdir: Path) -> None:
    """Final mutual information and other figures without labels against linear-probe accuracy."""
    found, left_out = probes.read_all(runs)
    picture = clouds.draw(found, workdir / 'figures' / 'scatter.png')
    alone = [probes.Pool(run.variant, run.data, [run]) for run in found]
    write(
        workdir,
        '# Mutual information and accuracy',
        [clouds.table(found), accuracies.settings(alone)],
        left_out,
        [picture],
    )


def _missing(where: str, pools: Sequence[probes.Pool]) -> list[str]:
    return [
        f'{", ".join(str(member.folder) for member in pool.members)}: {pool.variant} on {pool.data}'
        f' is not in {where}'
        for pool in pools
    ]


def write(
    workdir: Path,
    title: str,
    shown: Sequence[tables.Table],
    left_out: Sequence[str],
    pictures: Sequence[Path] = (),
) -> None:
    """Print the tables, write them as report.md, and say what was left out in both."""
    for table in shown:
        print(tables.text(table))
    for line in left_out:
        print(f'left out: {line}')
    workdir.mkdir(parents=True, exist_ok=True)
    report = workdir / 'report.md'
    sections = [title, *map(tables.markdown, shown)]
    sections += ['## Left out', '\n'.join(f'- {line}' for line in left_out)] if left_out else []
    sections += [f'![{path.stem}](figures/{path.name})' for path in pictures]
    report.write_text('\n\n'.join(section.strip() for section in sections) + '\n')
    for path in (*pictures, report):
        print(f'wrote {path}')
