"""The pictures of one run: loss and its terms, mutual information, collapse figures, ways over the
sphere.
"""

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes

from mi_ssl_jax.figures import curves, label_free, run_files, spheres, style
from mi_ssl_jax.figures.paper import gaussian

PHASES = {'e': 'E-step', 'm': 'M-step', 'joint': 'joint step'}
JOINT, MARGINAL = '#0072B2', '#D55E00'


def draw(workdir: str | Path) -> list[Path]:
    """Write what the run's files allow into workdir/figures; returns the paths."""
    run, folder = run_files.read(workdir), Path(workdir) / 'figures'
    pictures = [
        (loss, 'loss', 'loss.png'),
        (information, 'mi', 'mi.png'),
        (collapse, 'collapse', 'collapse.png'),
        (without_labels, 'label_free', 'label_free.png'),
        (trajectory, 'centres', 'trajectory.png'),
    ]
    return [
        function(run, folder / name)
        for function, needs, name in pictures
        if run_files.keys(run, needs)
    ]


@style.drawing
def loss(run: run_files.Run, output: Path) -> Path:
    """Above the loss, below its joint and marginal term; one column a phase."""
    phases = run_files.keys(run, 'loss')
    figure = style.new(4.6 * len(phases) + 1.4, 5.2)
    panels = figure.subplots(2, len(phases), sharex=True, squeeze=False)
    for phase, (above, below) in zip(phases, panels.T):
        curves.draw(above, _curve(run, ('loss', phase), '', run_files.look(run).colour))
        above.set(ylabel='loss')
        if len(phases) > 1:
            above.set_title(PHASES.get(phase, phase))
        for term, colour, line in (('joint', JOINT, '-'), ('marginal', MARGINAL, style.DASHES)):
            if phase in run_files.keys(run, term):
                curves.draw(below, _curve(run, (term, phase), term, colour, line))
        below.set(xlabel='epoch', ylabel='terms of the loss')
        if below.lines:
            below.legend(loc='upper center', bbox_to_anchor=(0.5, 0.0), borderaxespad=3.9, ncols=2)
    style.heading(
        figure,
        f'{_name(run)}: the loss and its two terms',
        'Loss = marginal − joint: the joint term rewards agreement of the two views of one '
        'example, the marginal term keeps different examples apart (not every method has one). '
        f'{_bands(run)}',
    )
    return style.save(figure, output)


@style.drawing
def information(run: run_files.Run, output: Path) -> Path:
    """Three estimates of mutual information; on the Gaussian mixture with the true value."""
    look = run_files.look(run)
    figure = style.new(10.5, 3.9)
    panels = curves.grid(figure, 1)
    true = run_files.paper()['true_mi']['nats'] if run_files.on_gaussian(run) else None
    for estimator in run_files.keys(run, 'mi'):
        curve = _curve(run, ('mi', estimator), look.label, look.colour)
        curves.information(
            figure, panels, 0, estimator, [curve], None if estimator == 'jsd' else true
        )
    temperature = run.config['mi']['temperature']
    style.heading(
        figure,
        f'{_name(run)}: estimated mutual information of two views of held-out examples',
        f'Cosine critic at temperature {temperature:g}; frozen encoders. {_bands(run)}',
    )
    return style.save(figure, output)


@style.drawing
def collapse(run: run_files.Run, output: Path) -> Path:
    """Spread, effective rank and class separation of every branch, beside those of an even
    distribution.
    """
    width, branches = run_files.width(run), run_files.keys(run, 'collapse')
    paths = [('std',), ('effective_rank',)]
    if any(run_files.keys(run, 'collapse', branch, 'nn_gap') for branch in branches):
        paths += [('nn_gap', 'mean')]  # of data with classes
    figure = style.new(3.5 * len(paths), 3.6)
    panels = figure.subplots(1, len(paths))
    names = _branch_names(branches)
    for ax, path in zip(panels, paths, strict=True):
        for branch, line in zip(branches, ('-', style.DASHES)):
            colour = run_files.look(run).colour
            curves.draw(ax, _curve(run, ('collapse', branch, *path), names[branch], colour, line))
        ax.set(xlabel='epoch')
        if len(branches) > 1:
            ax.legend(loc='upper center', bbox_to_anchor=(0.5, 0.0), borderaxespad=3.9, ncols=2)
    _label(
        panels[0],
        'Spread',
        'std of a feature, mean over features',
        [(width**-0.5, f'even: 1/√{width} = {width**-0.5:.3f}')] if width else [],
    )
    _label(
        panels[1],
        'Effective rank',
        'effective rank (RankMe)',
        [(width, f'all {width} directions')] if width else [],
    )
    if len(paths) > 2:
        marks = [(gaussian.PENTAGON, '72° = pentagon'), (gaussian.THOMSON, '90° = Thomson optimum')]
        _label(
            panels[2],
            'Separation',
            'NN gap of the classes (degrees)',
            marks if run_files.on_gaussian(run) else [],
        )
    style.heading(
        figure,
        f'{_name(run)}: has it collapsed?',
        'Held-out embeddings of unit length. NN gap: mean angle from a class to its nearest other '
        'class. A collapsed run falls towards spread 0, rank 1 or 0 degrees; behind a final batch '
        f'norm the spread cannot fall. {_bands(run)}',
    )
    return style.save(figure, output)


@style.drawing
def without_labels(run: run_files.Run, output: Path) -> Path:
    """The figures of mi.label_free, a panel each, of every branch."""
    branches = run_files.keys(run, 'label_free')
    present = run_files.keys(run, 'label_free', branches[0])
    figures = {name: own for name, own in label_free.FIGURES.items() if name in present}
    figure = style.new(max(2.6 * len(figures), 4.2), 3.6)
    labels = _branch_names(branches)
    for ax, (name, own) in zip(figure.subplots(1, len(figures), squeeze=False)[0], figures.items()):
        for branch, line in zip(branches, ('-', style.DASHES)):
            path, colour = ('label_free', branch, name), run_files.look(run).colour
            curves.draw(ax, _curve(run, path, labels[branch], colour, line))
        ax.set(xlabel='epoch', title=own.label, ylabel=f'better {own.better}')
        if len(branches) > 1:
            ax.legend(loc='upper center', bbox_to_anchor=(0.5, 0.0), borderaxespad=3.9, ncols=2)
    style.heading(
        figure,
        f'{_name(run)}: what can be told without labels',
        'RankMe, LiDAR and α-ReQ: of backbone features; alignment and uniformity: of the embeddings'
        f' of two views; of held-out examples. {_bands(run)}',
    )
    return style.save(figure, output)


@style.drawing
def trajectory(run: run_files.Run, output: Path) -> Path:
    """The centres' ways over the sphere, one sphere a branch, as in the paper's Figure 3."""
    branches = run_files.keys(run, 'centres')
    names = _branch_names(branches)
    figure = style.new(2.9 * (len(branches) + 1), 3.9, row_gap=0.1)
    grid = figure.add_gridspec(1, len(branches) + 1)
    for column, branch in enumerate(branches):
        label = f'{run_files.look(run).label} {names[branch]}'
        epochs = gaussian.sphere_of_trajectories(figure, grid[column], run, branch, label)
    spheres.legend(figure.add_subplot(grid[-1]), epochs[0], epochs[-1])
    style.heading(
        figure,
        'The five cluster centres on the embedding sphere',
        f'NN gap: mean angle to the nearest other centre at the end; {gaussian.GAP_NOTE}. The seed '
        'with the median gap (in brackets: mean ± SD over seeds), turned so that the final centres '
        'lie flat.',
    )
    return style.save(figure, output)


def _curve(
    run: run_files.Run, path: tuple[str, ...], label: str, colour: str, line='-'
) -> curves.Curve:
    return curves.Curve(label, colour, *run_files.series(run, *path), line)


def _branch_names(branches: Sequence[str]) -> dict[str, str]:
    """SDMI's encoders by the paper's letters, others by their own names."""
    return run_files.LETTERS if 'xi' in branches else {branch: branch for branch in branches}


def _label(ax: Axes, title: str, unit: str, levels: Sequence[tuple[float, str]]) -> None:
    ax.set_title(title)
    for level, meaning in levels:
        curves.reference(ax, level, meaning)
    top = max([ax.get_ylim()[1], *(1.1 * level for level, _ in levels)])
    ax.set(ylabel=unit, ylim=(0, top))


def _name(run: run_files.Run) -> str:
    return f'{run_files.look(run).label} on {run.config["data"]["name"]}'


def _bands(run: run_files.Run) -> str:
    return (
        ''
        if run.config['seeds'] == 1
        else f'Line: mean over {run_files.seeds([run])}; band: ± 1 SD.'
    )
