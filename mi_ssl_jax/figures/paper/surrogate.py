"""From the DV bound to Barlow Twins in numbers: the change at each step of section 3.4 and appendix
A.3; tables, sentences and the picture.
"""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from mi_ssl_jax.figures import curves, methods, statistics, style
from mi_ssl_jax.figures.paper.surrogate_steps import COSINE, DOT, STEPS, Measured, read, runs_of
from mi_ssl_jax.figures.statistics import number
from mi_ssl_jax.figures.tables import Table, markdown
from mi_ssl_jax.figures.tables import text as fixed_width

EXACT, SECOND, THIRD, FOURTH = '#0072B2', '#D55E00', '#009E73', '#882288'


def report(path: str | Path) -> list[Path]:
    """Draw and tabulate surrogate.json beside it: the picture and report.md."""
    path = Path(path)
    picture = draw(path, path.parent / 'figures' / 'surrogate.png')
    page = path.parent / 'report.md'
    page.write_text(
        '\n\n'.join(
            [
                '# From the DV bound to Barlow Twins, measured (section 3.4, appendix A.3)',
                _setting(read(path)),
                '## Where the steps differ',
                '\n'.join(f'- {line}' for line in findings(path)),
                *(markdown(table).strip() for table in tables(path)),
                f'![the steps along training](figures/{picture.name})',
            ]
        )
        + '\n'
    )
    return [picture, page]


def text(path: str | Path) -> str:
    """The tables and what they say, for a terminal."""
    return '\n'.join([*map(fixed_width, tables(path)), *findings(path)])


def tables(path: str | Path) -> list[Table]:
    """The steps before and after training; Eq. 23 by temperature; correlations by view noise."""
    runs = runs_of(path)
    ends = [(name, place) for name in runs for place in (0, -1)]
    rows = [
        (what, *(number(float(value(runs[name])[place].mean()), 3) for name, place in ends))
        for what, value in STEPS.items()
    ]
    header = (
        'Barlow Twins’ critic (Eq. 12)',
        *(f'{_label(name)} {"at the end" if place else "untrained"}' for name, place in ends),
    )
    note = (
        'T: dot product of features standardised over the batch. A, B: auto-correlations of the two'
        ' views; C: their cross-correlations. Means over seeds.'
    )
    return [
        Table('Each step on the same embeddings (nats)', header, rows, (note,)),
        _by_temperature(runs),
        _by_noise(runs),
    ]


def _by_temperature(runs: dict[str, Measured]) -> Table:
    rows = []
    for name, value in runs.items():
        for critic in value.critics('cosine'):
            exact, second, bound, wide = (
                value.last(critic, what)
                for what in ('exact', 'second_order', 'bound', 'range_bound')
            )
            rows.append(
                (
                    f'{_label(name)}, temperature {critic.split()[1]}',
                    *(number(entry, 3) for entry in (exact, second, second - exact, bound, wide)),
                )
            )
    header = (
        'Cosine critic, after training',
        'exact',
        'Eq. 23',
        'difference',
        'its bound',
        'bound by range',
    )
    note = (
        'Bound: a sixth of the largest third cumulant over s in [0, 1]. By range: the same for any '
        'scores in an interval as wide as that of these scores.'
    )
    return Table(
        'Second-order expansion of the marginal term by temperature (nats)', header, rows, (note,)
    )


def _by_noise(runs: dict[str, Measured]) -> Table:
    rows = []
    for name, value in runs.items():
        for critic in value.critics('dot'):
            own, cross, squares = (
                value.last(critic, what) for what in ('auto_off', 'cross', 'squares')
            )
            rows.append(
                (
                    f'{_label(name)}, view noise {critic.split()[1]}',
                    *(number(entry, 4) for entry in (own, cross, squares)),
                    number(squares / own, 2),
                )
            )
    header = ('After training', 'A_ij B_ij', 'C_ij C_ji', 'C_ij²', 'C_ij² / A_ij B_ij')
    return Table(
        'Sums over i ≠ j: what the variance has, what Eqs. 28 and 13 have',
        header,
        rows,
        ('Training has view noise 0.1, with which the two views of a point are nearly equal.',),
    )


def findings(path: str | Path) -> list[str]:
    """Summarise, in words and numbers, where the exact marginal term and its surrogates differ."""
    return [
        f'{_label(name)}, {line}'
        for name, value in runs_of(path).items()
        for line in (
            *_on_the_expansion(value),
            *_on_the_variance(value),
            _on_the_losses(value),
            _on_chi_squared(value),
        )
    ]


def _on_the_expansion(value: Measured) -> list[str]:
    error = np.abs(value(COSINE, 'second_order') - value(COSINE, 'exact')).max()
    bound, held = value(COSINE, 'bound').max(), 'yes' if _bounded(value) else 'no'
    cold = value.critics('cosine')[-1]
    off = abs(value.last(cold, 'second_order') - value.last(cold, 'exact'))
    return [
        (
            f'Eq. 23 with scores in [-1, 1] (cosine, temperature 1): within {error:.3f} nats of the'
            f' exact term all along; the bound is at most {bound:.3f}, never exceeded: {held}. At'
            f' temperature {cold.split()[1]} it is {off:.1f} nats off.'
        ),
        (
            f'Eq. 23 with Eq. 12’s critic: {value.last(DOT, "second_order"):.2f} for'
            f' {value.last(DOT, "exact"):.2f} nats at the end. Dropping the half (Eq. 11) then adds'
            f' {value.last(DOT, "variance") / 2:.2f}.'
        ),
    ]


def _on_the_variance(value: Measured) -> list[str]:
    own, off, squares = (value.last(DOT, what) for what in ('auto', 'auto_off', 'squares'))
    noisy = value.critics('dot')[-1]
    ratio = value.last(noisy, 'squares') / value.last(noisy, 'auto_off')
    return [
        (
            f'the variance {value.last(DOT, "variance"):.3f} is the sum of auto-correlations,'
            f' {own:.3f}, but for the finite batch. Eq. 13 drops its part i = j, {own - off:.3f}: a'
            ' constant, since features are standardised.'
        ),
        (
            f'cross- in place of auto-correlations: {squares:.4f} for {off:.4f} while the views are'
            f' nearly equal; with view noise {noisy.split()[1]} they are {100 * ratio:.0f} % of'
            ' them.'
        ),
    ]


def _on_the_losses(value: Measured) -> str:
    exact = STEPS['−DV, exact'](value)
    follow = {
        what: _agreement(STEPS[what](value), exact) for what in ('Eq. 13', 'Barlow Twins’ loss')
    }
    words = ', '.join(f'{what} {correlation:.2f}' for what, correlation in follow.items())
    return f'rank correlation with the exact −DV along training: {words}.'


def _on_chi_squared(value: Measured) -> str:
    barlow, chi_squared = (
        STEPS[what](value) for what in ('Barlow Twins’ loss of weight 1', 'D − chi-squared bound')
    )
    noisy = value.critics('dot')[-1]
    far = value.last(noisy, 'width') - value.last(noisy, 'chi_squared')
    agreement = _agreement(barlow, chi_squared)
    return (
        'D minus the chi-squared bound is Barlow Twins’ loss of weight 1 with auto- in place of'
        f' cross-correlations, up to one Nth: {chi_squared[-1].mean():.3f} for'
        f' {barlow[-1].mean():.3f} at the end, rank correlation {agreement:.2f} along training;'
        f' with view noise {noisy.split()[1]} {far:.3f} for {value.last(noisy, "barlow_1"):.3f}.'
    )


@style.drawing
def draw(path: str | Path, output: str | Path) -> Path:
    """One row a run: Eq. 23 with its bound, its error by temperature, the variance, the losses."""
    runs = runs_of(path)
    figure = style.new(14.4, 4.2 * len(runs) + 0.6)
    for (name, value), panels in zip(runs.items(), figure.subplots(len(runs), 4, squeeze=False)):
        _marginal(panels[0], value)
        _error(panels[1], value)
        _variance(panels[2], value)
        _losses(panels[3], value)
        for ax, title in zip(
            panels,
            ('cosine, temperature 1', 'error of Eq. 23', 'Eq. 12, variance', 'Eq. 12, losses'),
        ):
            ax.set_title(f'{_label(name)}: {title}')
            ax.set(xlabel='epoch')
            ax.legend(
                loc='upper center',
                bbox_to_anchor=(0.5, 0.0),
                borderaxespad=3.9,
                ncols=2,
                columnspacing=1.0,
            )
    style.heading(
        figure,
        'From the DV bound to Barlow Twins: every step on the same embeddings',
        f'{_setting(read(path))} From the left: log E[exp T], its second-order value and, '
        'shaded, where the exact term must lie; the difference of the two (solid) and its bound '
        '(dashed) by the critic’s temperature; the variance, which is a sum of auto-correlations, '
        'while Eq. 13 takes cross-correlations and leaves out i = j; the resulting losses. '
        'Lines: mean over seeds. (Paper: section 3.4, appendix A.3)',
    )
    return style.save(figure, output)


def _marginal(ax: Axes, value: Measured) -> None:
    second, bound = (value(COSINE, what).mean(axis=1) for what in ('second_order', 'bound'))
    ax.fill_between(
        value.epochs,
        second - bound,
        second + bound,
        color=SECOND,
        alpha=0.2,
        linewidth=0,
        label='bound on the rest',
    )
    _line(ax, value, value(COSINE, 'exact'), 'exact', EXACT)
    _line(ax, value, value(COSINE, 'second_order'), 'Eq. 23', SECOND, style.DASHES)
    ax.set(ylabel='marginal term (nats)')


def _error(ax: Axes, value: Measured) -> None:
    for critic, colour in zip(value.critics('cosine'), (EXACT, SECOND, THIRD, FOURTH)):
        _line(
            ax,
            value,
            np.abs(value(critic, 'exact') - value(critic, 'second_order')),
            f'temperature {critic.split()[1]}',
            colour,
        )
        _line(ax, value, value(critic, 'bound'), None, colour, style.DASHES)
    ax.set(ylabel='|exact − Eq. 23| (nats)', yscale='log')


def _variance(ax: Axes, value: Measured) -> None:
    lines = {
        'Var[T]': ('variance', EXACT, '-'),
        'auto-correlations': ('auto', SECOND, style.DASHES),
        'auto, i ≠ j': ('auto_off', THIRD, '-'),
        'cross, i ≠ j (Eq. 13)': ('squares', FOURTH, style.DASHES),
    }
    for label, (what, colour, line) in lines.items():
        _line(ax, value, value(DOT, what), label, colour, line)
    ax.set(ylabel='variance of the score')


def _losses(ax: Axes, value: Measured) -> None:
    colours = {
        '−DV, exact': EXACT,
        '−DV, second order (Eq. 24)': SECOND,
        'Eq. 13': FOURTH,
        'Barlow Twins’ loss': THIRD,
    }
    for what, colour in colours.items():
        _line(ax, value, STEPS[what](value), what, colour)
    ax.set(ylabel='loss')


def _line(
    ax: Axes, value: Measured, values: np.ndarray, label: str | None, colour: str, line: Any = '-'
) -> None:
    curves.draw(
        ax, curves.Curve(label, colour, value.epochs, values.mean(axis=1, keepdims=True), line)
    )


def _bounded(value: Measured) -> bool:
    """Whether |exact - Eq. 23| stays within its bound for the cosine critics; up to float32
    rounding.
    """
    return all(
        np.all(
            np.abs(value(critic, 'exact') - value(critic, 'second_order'))
            <= 1.001 * value(critic, 'bound') + 1e-5
        )
        for critic in value.critics('cosine')
    )


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Rank correlation along training, mean over seeds."""
    a, b = (statistics.ranks(values) for values in (one, other))
    return float(np.mean([np.corrcoef(a[:, seed], b[:, seed])[0, 1] for seed in range(a.shape[1])]))


def _label(name: str) -> str:
    return methods.METHODS[name].label


def _setting(found: dict[str, Any]) -> str:
    return (
        f'Runs of configs/METHOD_gaussian.py, {found["epochs"]} epochs,'
        f' {statistics.counted(found["seeds"], "seed")}; '
        f'embeddings of {found["points"]} held-out points, all pairs.'
    )
