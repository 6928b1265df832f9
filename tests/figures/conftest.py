"""Every picture that a test draws is looked at: no text may cover another or leave the canvas."""

import pytest

from mi_ssl_jax.figures import style
from tests.helpers import pictures


@pytest.fixture(autouse=True)
def legible(monkeypatch):
    save, faults = style.save, {}

    def looked_at(figure, path):
        found = pictures.faults(figure)
        if found:
            faults[str(path)] = found
        return save(figure, path)

    monkeypatch.setattr(style, 'save', looked_at)
    yield
    assert not faults
