"""The page's pictures and embeddings, run by run."""

from collections.abc import Sequence
from xml.etree.ElementTree import Element

from mi_ssl_jax.figures import report, statistics
from mi_ssl_jax.figures.comparing import images
from mi_ssl_jax.figures.comparing.embedding import COLOURS, picture
from mi_ssl_jax.figures.comparing.markup import element, section
from mi_ssl_jax.figures.comparing.summary import Summary
from mi_ssl_jax.figures.statistics import number

PICTURES = 2_000_000  # bytes of all pictures together, where the smallest ones allow it
LEAST = 6_000  # bytes of a picture
DOTS = 60_000  # of all scatter plots together
MOST_DOTS = 600  # of one


def pictures(runs: Sequence[Summary]) -> tuple[Element | None, list[str]]:
    """The runs' pictures, kind by kind, and a line for each that cannot be read."""
    known = list(report.CAPTIONS)
    every = sorted({name for run in runs for name in run.pictures})
    kinds = sorted(every, key=lambda name: known.index(name) if name in known else len(known))
    count = sum(len(run.pictures) for run in runs)
    if not count:
        return None, []
    most, figures, faults = max(PICTURES // count, LEAST), [], []
    for kind in kinds:
        for place, run in enumerate(runs):
            if kind not in run.pictures:
                continue
            try:
                own = images.small(run.pictures[kind], most)
            except ValueError as error:
                faults.append(str(error))
                continue
            figures.append(_figure(place, run, kind, own))
    choice = [element('option', kind.removesuffix('.png'), value=kind) for kind in kinds]
    captions = [
        element('p', report.CAPTIONS[kind], data_kind=kind) for kind in kinds if kind in known
    ]
    whole = section(
        'Pictures',
        element(
            'div',
            element('label', 'Picture ', element('select', choice, id='picture')),
            class_='controls',
        ),
        captions,
        element('div', figures, class_='grid'),
        element('p', "They are in each run's figures/ in full size."),
    )
    return whole, faults


def _figure(place: int, run: Summary, kind: str, own: images.Small) -> Element:
    picture = element(
        'img',
        src=own.address,
        width=str(own.width),
        height=str(own.height),
        alt=f'{kind.removesuffix(".png")} of {run.name}',
    )
    return element(
        'figure',
        element('figcaption', run.name),
        element(
            'button',
            picture,
            type='button',
            class_='zoom',
            aria_expanded='false',
            title='Larger or smaller',
        ),
        data_of=str(place),
        data_kind=kind,
    )


def embeddings(runs: Sequence[Summary]) -> Element:
    """A scatter plot for each run whose embeddings are there, and what to do for the others."""
    found = [(place, run) for place, run in enumerate(runs) if run.embedding is not None]
    lacking = len(runs) - len(found)
    hint = (
        f'{statistics.counted(lacking, "run")} without embeddings: --embed computes them, as'
        ' python -m mi_ssl_jax.embed --workdir=RUN does for one.'
        if lacking
        else None
    )
    most = min(MOST_DOTS, DOTS // max(len(found), 1))
    figures = [
        element(
            'figure',
            element('figcaption', f'{run.name}: ', _shares(run)),
            picture(run.embedding, most, f'Embeddings of {run.name} in two dimensions'),
            data_of=str(place),
        )
        for place, run in found
    ]
    about = (
        'Held-out examples, un-augmented, on the unit sphere of the projector, along the first two'
        ' principal components; each run by itself: the axes of two runs have nothing in common.'
        f' Colours are classes and repeat after {COLOURS}; names stand at the middle of each.'
    )
    return section(
        'Embeddings',
        element('p', about) if found else None,
        element('div', figures, class_='grid small') if found else None,
        element('p', hint) if hint else None,
    )


def _shares(run: Summary) -> str:
    first, second = run.embedding.shares
    return f'{number(100 * first, 0)} % and {number(100 * second, 0)} % of the variance'
