"""The parameters that some bounds have, and their values unless given."""

import chex

PARAMETERS: dict[str, dict[str, chex.Numeric]] = {
    'smile': {'clip': 5.0},  # the source's middle choice of 1, 5, infinity
    'taylor_dv': {'variance_weight': 0.5},  # Eq. 24; pass 1 for Eq. 11
}


def parameters(
    name: str, *, clip: chex.Numeric | None, variance_weight: chex.Numeric | None
) -> dict[str, chex.Numeric]:
    """The parameters of the bound `name`. ValueError for one that the bound does not have."""
    own = PARAMETERS.get(name, {})
    options = {'clip': clip, 'variance_weight': variance_weight}
    given = {key: value for key, value in options.items() if value is not None}
    foreign = sorted(given.keys() - own.keys())
    if foreign:
        raise ValueError(
            f"the bound '{name}' has no parameter {foreign[0]}: leave it out"
            + (f', or give {", ".join(own)}' if own else '')
        )
    return own | given
