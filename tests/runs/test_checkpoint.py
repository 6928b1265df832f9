"""Checkpoints: everything comes back; damage to any file is found, named and never restored; a full
disk loses nothing."""

import contextlib
import json
import shutil
import subprocess

import jax
import numpy as np
import pytest

from mi_ssl_jax import methods
from mi_ssl_jax.runs import checkpoint
from mi_ssl_jax.train import state
from tests.helpers import tiny


def tree(number):
    """Arrays of all kinds, other ones for each number; the first is 16 KB that do not compress."""
    random = np.random.default_rng(number)
    return {
        'weights': random.standard_normal((64, 64)).astype(np.float32),
        'half': np.float16([number, 0.5]),
        'count': np.int32(number),
        'key': random.integers(0, 2**32, 2, dtype=np.uint32),
        'none': {},
    }


def progress(number, best=None):
    return {'chunk': number, 'epoch': number / 2, 'best': best}


@contextlib.contextmanager
def store(folder, keep=3):
    """A store and what it said."""
    said = []
    with contextlib.closing(checkpoint.Store(folder, keep=keep, report=said.append)) as own:
        yield own, said


def assert_holds(found, number):
    """Exactly what was saved under the number: names, types, bits."""
    assert found[0] == number and found[2]['chunk'] == number
    assert jax.tree.structure(found[1]) == jax.tree.structure(tree(number))
    for a, b in zip(jax.tree.leaves(found[1]), jax.tree.leaves(tree(number)), strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope='module')
def three(tmp_path_factory):
    """A folder with checkpoints 1, 2 and 3."""
    folder = tmp_path_factory.mktemp('three') / 'checkpoints'
    with store(folder) as (own, said):
        for number in (1, 2, 3):
            own.save(number, tree(number), progress(number))
    assert said == []
    return folder


def flip(path, content):
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def zero(path, content):
    start = max(len(content) // 2 - 2048, 0)
    content[start : start + 4096] = bytes(len(content[start : start + 4096]))
    path.write_bytes(content)


DAMAGES = {
    'deleted': lambda path, content: path.unlink(),
    'truncated': lambda path, content: path.write_bytes(content[: len(content) // 2]),
    'one bit flipped': flip,
    '4 KB zeroed': zero,
}


@pytest.mark.parametrize('kind', DAMAGES)
def test_damage_to_any_file_is_named_and_the_checkpoint_before_is_used(three, tmp_path, kind):
    newest = three / '00000003'
    names = sorted(path.relative_to(newest) for path in newest.rglob('*') if path.is_file())
    assert len(names) > 5 and {'manifest.json', 'progress.json'} <= set(map(str, names))
    for number, name in enumerate(names):
        folder = tmp_path / str(number)
        shutil.copytree(three, folder)
        victim = folder / '00000003' / name
        before = victim.read_bytes()
        DAMAGES[kind](victim, bytearray(before))
        if victim.exists() and victim.read_bytes() == before:
            assert kind == '4 KB zeroed' and not any(before)
            continue
        with store(folder) as (own, said):
            assert_holds(own.restore(tree(0)), 2)
        what = 'unfinished' if (kind, str(name)) == ('deleted', 'manifest.json') else 'damaged'
        assert (
            len(said) == 1
            and said[0].startswith(f'checkpoint 00000003 is {what}')
            and 'set aside' in said[0]
        )
        if str(name) != 'manifest.json':
            assert str(name) in said[0]
        assert (folder / f'{what}-00000003-0').is_dir()


def test_no_flipped_bit_of_the_manifest_goes_unnoticed(three, tmp_path):
    folder = tmp_path / 'one'
    shutil.copytree(three / '00000003', folder)
    content = (folder / 'manifest.json').read_bytes()
    for place in range(0, len(content), 3):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        (folder / 'manifest.json').write_bytes(damaged)
        assert checkpoint._fault(folder) is not None, f'bit {place % 8} of byte {place}'


def test_the_newest_two_damaged_and_then_all(three, tmp_path):
    folder = tmp_path / 'copy'
    shutil.copytree(three, folder)
    for number in (2, 3):
        flip(
            folder / f'0000000{number}' / 'progress.json', bytearray(progress_bytes(folder, number))
        )
    with store(folder) as (own, said):
        assert_holds(own.restore(tree(0)), 1)
        assert len(said) == 2 and 'using the one before it' in said[1]
        flip(folder / '00000001' / 'progress.json', bytearray(progress_bytes(folder, 1)))
        assert own.restore(tree(0)) is None
        assert 'there is none before it' in said[2]
    assert sorted(path.name for path in folder.iterdir()) == [
        f'damaged-0000000{n}-0' for n in (1, 2, 3)
    ]


def progress_bytes(folder, number):
    return (folder / f'0000000{number}' / 'progress.json').read_bytes()


def test_another_structure_shape_or_type_is_refused_not_converted(three):
    others = {
        'name': {**tree(3), 'more': np.zeros(1)},
        'shape': {**tree(3), 'weights': np.zeros((64, 63), np.float32)},
        'type': {**tree(3), 'weights': np.zeros((64, 64), np.float64)},
    }
    for other in others.values():
        with store(three) as (own, _), pytest.raises(ValueError, match='1 arrays differ, first'):
            own.restore(other)


def test_the_last_and_the_best_are_kept_and_the_best_is_found_after_going_back(tmp_path):
    with store(tmp_path, keep=2) as (own, _):
        for number, best in enumerate((1, 1, 3, 3, 5, 5), 1):
            fresh = checkpoint.Checkpoint(
                number, checkpoint.on_host(tree(number)), progress(number)
            )
            own.save(
                number,
                tree(10 + number),
                progress(10 + number, {'number': best}),
                fresh if best == number else None,
            )
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        '00000005',
        '00000006',
        'best-00000005',
    ]
    with store(tmp_path, keep=2) as (own, _):
        assert_holds(own.restore(tree(0), best=True), 5)
        own.save(
            7,
            tree(7),
            progress(7, {'number': 7}),
            checkpoint.Checkpoint(7, checkpoint.on_host(tree(7)), progress(7)),
        )
    assert sorted(path.name for path in tmp_path.glob('best-*')) == [
        'best-00000005',
        'best-00000007',
    ]
    flip(tmp_path / '00000007' / 'progress.json', bytearray(progress_bytes(tmp_path, 7)))
    with store(tmp_path, keep=2) as (own, said):
        assert_holds(own.restore(tree(0), best=True), 5)
    assert len(said) == 1


def test_a_damaged_best_checkpoint_is_refused(tmp_path):
    with store(tmp_path) as (own, _):
        own.save(
            1,
            tree(1),
            progress(1, {'number': 1}),
            checkpoint.Checkpoint(1, checkpoint.on_host(tree(1)), progress(1)),
        )
        own.wait()
        flip(
            tmp_path / 'best-00000001' / 'progress.json',
            bytearray((tmp_path / 'best-00000001' / 'progress.json').read_bytes()),
        )
        with pytest.raises(ValueError, match='the best checkpoint, .*best-00000001, is damaged'):
            own.restore(tree(0), best=True)


def test_half_written_arrays_do_not_pile_up(tmp_path):
    with store(tmp_path) as (own, said):
        own.save(1, tree(1), progress(1))
        for _ in range(3):
            own.wait()
            (tmp_path / '00000002' / 'state').mkdir(parents=True)
            assert_holds(own.restore(tree(0)), 1)
    assert len(said) == 3 and len(list(tmp_path.glob('unfinished-*'))) == 1


def test_stores_that_save_at_the_same_time_do_not_disturb_each_other(tmp_path):
    """As the end of a population does: its own last checkpoint beside those of its members."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(store(tmp_path / name)) for name in 'abcd']
        for number in range(1, 6):
            for own, _ in stores:
                own.save(number, tree(number), progress(number))
        for own, said in stores:
            assert_holds(own.restore(tree(0)), 5)
            assert said == []


@pytest.mark.parametrize('name', methods.names())
def test_every_part_of_a_methods_state_comes_back(name, tmp_path):
    spec = tiny.experiment(name, tiny.one_device())
    shapes = jax.eval_shape(lambda: state.init(0, spec.hyper[0], spec, tiny.POINTS[0]))
    random = np.random.default_rng(0)
    full = jax.tree.map(lambda leaf: random.integers(0, 100, leaf.shape).astype(leaf.dtype), shapes)
    with store(tmp_path) as (own, said):
        own.save(1, full, progress(1))
        _, found, _ = own.restore(shapes)
    assert said == [] and jax.tree.structure(found) == jax.tree.structure(full)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(full), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 1 MB."""
    folder = tmp_path / 'disk'
    folder.mkdir()
    made = subprocess.run(
        ['mount', '-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', str(folder)],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip('needs to mount a small file system, which only root may')
    yield folder
    subprocess.run(['umount', str(folder)], check=True)


def test_a_full_disk_is_told_with_the_space_and_keeps_the_checkpoint_before(small_disk):
    with store(small_disk / 'checkpoints') as (own, said):
        own.save(1, tree(1), progress(1))
        own.wait()
        (small_disk / 'filler').write_bytes(bytes(shutil.disk_usage(small_disk).free - 8192))
        own.save(2, tree(2), progress(2))
        own.wait()
        assert len(said) == 1 and said[0].startswith('checkpoint 2 could not be saved (')
        assert 'it needs 0.0 MB' in said[0] and 'MB free; the previous one stays' in said[0], said
        assert own.standing() == 'the last checkpoint is of epoch 0.5'
        assert_holds(own.restore(tree(0)), 1)
        (small_disk / 'filler').unlink()
        own.save(3, tree(3), progress(3))
        assert_holds(own.restore(tree(0)), 3)
    assert json.loads(
        (small_disk / 'checkpoints' / '00000003' / 'progress.json').read_text()
    ) == progress(3)
    assert len(said) == 1
