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
    # timing.jsonl ends with the time after the last log point
    for name, epochs in {'metrics.jsonl': [1, 2], 'timing.jsonl': [1, 2, 2]}.items():
        text = (tmp_path / name).read_text()
        assert text.endswith('\n')
        assert [json.loads(entry)['epoch'] for entry in text.splitlines()] == epochs


def test_the_time_is_written_with_what_it_was_spent_in(tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(log.time, 'monotonic', lambda: now[0])
    clock = log.Clock()
    own, _ = writer(tmp_path, clock=clock)

    def evaluate(name):
        now[0] += 1.5
        return name

    def chunks():
        now[0] += 7
        clock.listen(log.COMPILED, 4.0, fun_name='step')
        clock.listen('another event', 50.0)
        yield clock.evaluating(evaluate)('mi')

    (found,) = clock.training(chunks())
    now[0] += 0.5
    own.write(line(1), step=1)
    with clock.spending('saving'):
        now[0] += 1.25
    now[0] += 0.75
    own.close()
    assert found == 'mi'
    lines = [json.loads(entry) for entry in (tmp_path / 'timing.jsonl').read_text().splitlines()]
    spent = {'training': 3.0, 'evaluation': 1.5, 'compilation': 4.0}
    assert lines == [
        {'epoch': 1, 'seconds': 9.0, **spent, 'saving': 0.0},
        {'epoch': 1, 'seconds': 11.0, **spent, 'saving': 1.25},
    ]


def test_a_disk_that_is_full_at_the_end_hides_no_other_error(tmp_path, limited):
    own, _ = writer(tmp_path)
    own.write(line(1), step=1)
    size = (tmp_path / 'timing.jsonl').stat().st_size
    limited(size)
    own.close()
    assert (tmp_path / 'timing.jsonl').stat().st_size == size


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
    limited(600)
    for epoch in range(4):
        own.write(
            (
                {'epoch': epoch, 'a': {name: [0.0] for name in 'abcdefghijklmnop'}}
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


def test_tensorboard_has_the_settings_as_hyperparameters(tmp_path):
    accumulator = pytest.importorskip('tensorboard.backend.event_processing.event_accumulator')
    from tensorboard.plugins.hparams import metadata

    settings = {'lr': 0.5, 'seeds': 2, 'name': 'jmi', 'on': True, 'widths': [64, 3], 'no': None}
    own, _ = writer(tmp_path, settings=settings)
    own.write(line(1), step=1)
    own.close()
    events = accumulator.EventAccumulator(str(tmp_path / 'tb')).Reload()
    content = events.SummaryMetadata(metadata.SESSION_START_INFO_TAG).plugin_data.content
    found = metadata.parse_session_start_info_plugin_data(content).hparams
    assert {name: found[name].number_value for name in ('lr', 'seeds')} == {'lr': 0.5, 'seeds': 2}
    assert found['name'].string_value == 'jmi' and found['on'].bool_value is True
    assert found['widths'].string_value == '[64, 3]' and found['no'].string_value == 'null'
    assert events.Tensors('loss/joint')[0].step == 1
