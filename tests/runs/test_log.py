"""Files that grow line by line: whole lines only, whatever the disk does; what a crash left behind
is dropped."""

import errno
import json
import resource

import numpy as np
import pytest

from mi_ssl_jax.runs import log


@pytest.fixture
def limited():
    """-> limit(bytes): no file of this process can grow beyond; lifted at the end."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def writer(folder, **sizes):
    said = []
    own = log.Writer(
        folder, **{'size': 0, 'timing_size': 0, **sizes}, report=said.append, make_room=lambda: None
    )
    return own, said


def line(epoch, width=1):
    return {'epoch': epoch, 'loss': {'joint': np.full(width, 0.5)}}


def test_a_line_that_does_not_fit_is_taken_back_whole(tmp_path, limited):
    lines = log.Lines(tmp_path / 'a', size=0, make_room=lambda: None)
    lines.add('x' * 99)
    limited(150)
    with pytest.raises(OSError, match='File too large') as failed:
        lines.add('y' * 99)
    assert failed.value.errno == errno.EFBIG and failed.value.filename == str(tmp_path / 'a')
    assert (tmp_path / 'a').read_text() == 'x' * 99 + '\n' and lines.size == 100
    lines.add('z' * 9)
    lines.close()
    assert (tmp_path / 'a').read_text() == 'x' * 99 + '\n' + 'z' * 9 + '\n'


def test_a_line_that_does_not_fit_is_tried_again_once_there_is_room(tmp_path, limited):
    lines = log.Lines(tmp_path / 'a', size=0, make_room=lambda: limited(500))
    lines.add('x' * 99)
    limited(150)
    lines.add('y' * 99)
    lines.close()
    assert (tmp_path / 'a').read_text() == 'x' * 99 + '\n' + 'y' * 99 + '\n'


def test_resuming_drops_what_came_after_the_checkpoint_in_both_files(tmp_path):
    own, _ = writer(tmp_path)
    own.write(line(1), step=1)
    sizes = own.sizes
    own.write(line(2), step=2)
    own.close()
    for name in ('metrics.jsonl', 'timing.jsonl'):
        with open(tmp_path / name, 'a') as file:
            file.write('{"epoch": 3, "ha')
    own, _ = writer(tmp_path, size=sizes['bytes'], timing_size=sizes['timing'])
    own.write(line(2), step=2)
    own.close()
    for name in ('metrics.jsonl', 'timing.jsonl'):
        text = (tmp_path / name).read_text()
        assert text.endswith('\n') and [
            json.loads(entry)['epoch'] for entry in text.splitlines()
        ] == [1, 2]


def test_metrics_shorter_than_the_checkpoint_knows_are_refused(tmp_path):
    (tmp_path / 'metrics.jsonl').write_text('{}\n')
    with pytest.raises(
        ValueError, match='metrics.jsonl has 3 bytes, but had 10 when the checkpoint was saved'
    ):
        writer(tmp_path, size=10)
    assert (tmp_path / 'metrics.jsonl').read_text() == '{}\n'


def test_tensorboard_without_room_is_told_once_and_ends_nothing(tmp_path, limited):
    (tmp_path / 'metrics.jsonl').write_bytes(b'')
    own, said = writer(tmp_path)
    (events,) = (tmp_path / 'tb').iterdir()
    assert events.stat().st_size < 200
    limited(200)
    for epoch in range(4):
        own.write(
            (
                {'epoch': epoch, 'a': {name: [0.0] for name in 'abcdefgh'}}
                if epoch == 0
                else {'epoch': epoch}
            ),
            step=epoch,
        )
    own.close()
    assert len(said) == 1 and 'TensorBoard events cannot be written (File too large)' in said[0]
    assert len((tmp_path / 'metrics.jsonl').read_text().splitlines()) == 4


def test_tensorboard_reads_the_events(tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    own, _ = writer(tmp_path)
    own.write(
        {'epoch': 1, 'loss': {'joint': np.array([1.0, 2.0])}, 'mi': {'jsd': [None, 1.0]}}, step=7
    )
    own.close()
    events = accumulator.EventAccumulator(str(tmp_path / 'tb')).Reload()
    (event,) = events.Tensors('loss/joint')
    assert event.step == 7 and list(event.tensor_proto.float_val) == [1.5]
    assert events.Tags()['tensors'] == ['loss/joint']
