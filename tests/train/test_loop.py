"""The training loop: when the devices are given a chunk, and when its numbers are read."""

import jax
import numpy as np
import pytest

from mi_ssl_jax.train import loop, schedule
from tests.helpers import tiny

CHUNKS = tiny.STEPS * tiny.PASSES  # of one step each


class Trained:
    """Two passes of JMI. order: 'given' and 'read' as they came; progress: what was yielded."""

    def __init__(self, monkeypatch, **options):
        self.order, self.progress, self.state = [], [], None
        own = tiny.experiment('jmi', tiny.one_device())
        runs = schedule.compile_steps(own)

        def given(*arguments):
            self.order.append('given')
            return runs['joint'](*arguments)

        def read(line, remedy):
            loop.check_finite(line, remedy)
            self.order.append('read')

        monkeypatch.setattr(loop, 'SLOW', options.pop('slow', np.inf))
        monkeypatch.setattr(schedule, 'compile_steps', lambda spec: {'joint': given})
        with tiny.quick_compilation():
            chunks = tiny.chunks(own, check=options.pop('check', read), **options)
            for now in chunks:
                self.progress.append(now._replace(population=now.population is not None))
                self.state = jax.device_get(now.population) if now.population else self.state

    @property
    def held(self):
        """Whether the state was there, a chunk."""
        return [now.population for now in self.progress]


def test_the_next_chunk_is_given_before_the_last_ones_numbers_are_read(monkeypatch):
    """The last chunk is evaluated, so the one before it is read first; numbers are the same."""
    ahead = Trained(monkeypatch, wanted=lambda epoch: False)
    assert ahead.order == ['given', *['given', 'read'] * (CHUNKS - 1), 'read']
    assert ahead.held == [True, *[False] * (CHUNKS - 1), True]
    alone = Trained(monkeypatch)
    assert alone.order == ['given', 'read'] * CHUNKS and all(alone.held)
    assert [now.line for now in ahead.progress] == [now.line for now in alone.progress]
    assert [now.chunk for now in ahead.progress] == list(range(1, 2 + CHUNKS))
    assert ahead.progress[-1].line['step'] == {'joint': CHUNKS}
    for one, other in zip(*map(jax.tree.leaves, (ahead.state, alone.state)), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_state_that_is_wanted_is_waited_for(monkeypatch):
    """The third of six chunks ends the first epoch."""
    found = Trained(monkeypatch, wanted=lambda epoch: epoch == 1)
    epoch = ['given', 'given', 'read', 'given', 'read', 'read']
    assert found.order == 2 * epoch
    assert found.held == [True, False, False, True, False, False, True]


def test_slow_chunks_are_read_one_by_one(monkeypatch):
    found = Trained(monkeypatch, wanted=lambda epoch: False, slow=-1.0)
    assert found.order == ['given', 'read'] * CHUNKS


def test_what_diverged_is_said_before_the_next_chunk_is_told(monkeypatch):
    yielded = []

    def check(line, remedy):
        if line['step']['joint'] == 3:
            raise loop.Diverged(f'after {len(yielded)}')
        yielded.append(line)

    with pytest.raises(loop.Diverged, match='after 2'):
        Trained(monkeypatch, wanted=lambda epoch: False, check=check)
