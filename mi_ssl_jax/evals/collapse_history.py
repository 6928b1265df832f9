"""Whether a run has collapsed, from its own figures."""

from collections.abc import Mapping, Sequence
from typing import Any

from mi_ssl_jax.evals import collapse


def findings(history: Sequence[Mapping[str, Any]], width: int) -> dict[str, str]:
    """{branch: sentence} of the branches that the last evaluation shows collapsed, or collapsing.

    history: the 'collapse' of each evaluation in metrics.jsonl, the untrained encoder's first.
    width: of the embeddings.
    """
    if len(history) < 2:
        return {}
    found = {
        branch: collapse.sentence(
            figures, dimension=width, history=[past[branch] for past in history[1:]]
        )
        for branch, figures in history[-1].items()
    }
    return {branch: sentence for branch, sentence in found.items() if sentence}


def kinds(found: Mapping[str, str]) -> dict[str, str]:
    """Findings without their figures: 'collapse: the classes have merged'."""
    return {branch: ':'.join(sentence.split(':')[:2]) for branch, sentence in found.items()}


def collapsed_for(history: Sequence[Mapping[str, Any]], width: int, *, most: int) -> int:
    """How many of the last evaluations in a row, `most` at most, show a branch collapsed; a partial
    collapse is none.
    """
    for count in range(most):
        found = findings(history[: len(history) - count], width)
        if not any(sentence.startswith('collapse') for sentence in found.values()):
            return count
    return most
