"""Damaged files of every format that the commands read: a whole result, bad files or one line."""

import contextlib
import importlib
import json
import shutil
import signal
import sys
import tarfile
import zipfile

import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.cli import estimates, guard
from mi_ssl_jax.data import images, on_disk, prepare
from mi_ssl_jax.data.building import arrays, folders, parquet, plan, webdataset
from mi_ssl_jax.data.building.examples import Wanted
from mi_ssl_jax.data.generated import graph_npz
from mi_ssl_jax.experiment import build
from mi_ssl_jax.figures import probes, report
from mi_ssl_jax.runs import run, run_folder
from mi_ssl_jax.runs.checkpoint import Store
from tests.data import test_own_data
from tests.data.test_load import write_set
from tests.helpers import probed, runs, samples, synthetic_runs

pytestmark = pytest.mark.slow

READERS, COMMANDS = 200, 5  # damaged files a format, read in the process and by its command
SECONDS = 20  # for one of them
IMAGES = ('.jpg', '.png', '.bmp', '.tiff', '.webp', '.gif')
ARCHIVES = ('.tar', '.tar.gz', '.zip')


class Hang(BaseException):
    """A reader that does not come back; no Exception, so that no reader takes it for damage."""


def _hang(signum, frame):
    raise Hang


# What may happen to a file: (its bytes, random numbers, bytes of another file) -> bytes
# --------------------------------------------------------------------------------------------------


def cut(raw, random, other):
    return raw[: random.integers(len(raw))]


def flip(raw, random, other):
    found = bytearray(raw)
    for place in random.integers(len(raw), size=random.integers(1, 9)):
        found[place] ^= random.integers(1, 256)
    return bytes(found)


def zero(raw, random, other):
    start, stop = _range(raw, random)
    return raw[:start] + bytes(stop - start) + raw[stop:]


def insert(raw, random, other):
    place = random.integers(len(raw) + 1)
    return raw[:place] + random.bytes(random.integers(1, 600)) + raw[place:]


def duplicate(raw, random, other):
    start, stop = _range(raw, random)
    return raw[:stop] + raw[start:]


def swap(raw, random, other):
    return other


def _range(raw, random):
    return sorted(random.integers(len(raw) + 1, size=2))


DAMAGES = (cut, flip, flip, zero, insert, duplicate, swap)  # flips are the hardest to notice


def damaged(raw, case):
    """The `case`-th damage of a file's bytes."""
    random = np.random.default_rng(case)
    other = (b'', b'{}', b'GIF89a', random.bytes(2000), b'<html>busy</html>')[case % 5]
    return DAMAGES[case % len(DAMAGES)](raw, random, other)


def outcome(call):
    """(what a reader returns, ''), or (None, its ValueError's line)."""
    before = signal.signal(signal.SIGALRM, _hang)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        return call(), ''
    except ValueError as error:
        assert str(error) and '\n' not in str(error), repr(error)
        return None, str(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def each(files, check, count):
    """Damages one of the files at a time and checks; names the case that fails. check: (path) is
    called beside a damaged file, and the file is whole again afterwards.
    """
    whole = {path: path.read_bytes() for path in files}
    told = 0
    for case in range(count):
        path = files[case % len(files)]
        path.write_bytes(damaged(whole[path], case))
        try:
            told += bool(check(path))
        except (Exception, Hang) as error:
            raise AssertionError(f'case {case}: {DAMAGES[case % 7].__name__}, {path}') from error
        finally:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(whole[path])
    assert told or count <= COMMANDS  # some damage is seen


# Images and archives
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def source(tmp_path_factory):
    """A folder of two classes of three and two images.

    They are of noise, larger than a record of a tar: zeros in the place of the last files of that
    size or less are a tar's end, which nothing tells from a shorter tar.
    """
    root, random = tmp_path_factory.mktemp('source'), np.random.RandomState(0)
    for split, count in (('train', 3), ('val', 2)):
        for name in ('cat', 'dog'):
            for i in range(count):
                pixels = random.randint(0, 256, (100, 100, 3)).astype(np.uint8)
                samples.write_image(root / split / name / f'{i}.jpg', pixels)
    return root


EXAMPLES = 10


@pytest.fixture(params=IMAGES)
def image(request, source, tmp_path):
    """One image of this format among others in a folder."""
    shutil.copytree(source, tmp_path / 'source')
    path = tmp_path / 'source' / 'train' / 'cat' / f'x{request.param}'
    samples.write_image(path, samples.random_image(np.random.RandomState(3), 24, 20))
    return path


def test_damaged_images_are_read_or_refused(image):
    def check(path):
        stored, said = outcome(lambda: images.checked_rgb(path.read_bytes(), size=None))
        assert said or images.decode(stored, 3).ndim == 3
        return said

    each([image], check, READERS)


def prepared_by_the_command(source, root, capsys, expected, *options):
    """Whether the command named something. Its output is a whole set, a bad file or one line."""
    shutil.rmtree(root / 'data', ignore_errors=True)
    given = ['image_folder', f'--source={source}', f'--data_dir={root / "data"}', *options]
    code, _ = outcome(lambda: prepare.main(given))
    said = capsys.readouterr()
    if code == 2:
        *bad, last = said.err.splitlines()
        assert last.startswith('error: ') and all(line.startswith('bad file: ') for line in bad)
        return True
    assert code == 0
    made = data.find('image_folder', str(root / 'data'))
    noted = said.out.count('passed over: ') + said.out.count('left out: ')
    assert sum(made.sizes.values()) == expected or noted
    return noted > 0


def test_damaged_images_are_told_by_the_command(image, tmp_path, capsys):
    folder = tmp_path / 'source'

    def check(path):
        told = prepared_by_the_command(folder, tmp_path, capsys, EXAMPLES + 1)
        if told:
            assert prepared_by_the_command(folder, tmp_path, capsys, EXAMPLES, '--skip_bad')
        return told

    each([image], check, COMMANDS)


@pytest.fixture(params=ARCHIVES)
def archive(request, source, tmp_path):
    path = tmp_path / f'x{request.param}'
    files = [file for file in sorted(source.rglob('*')) if file.is_file()]
    if request.param == '.zip':
        with zipfile.ZipFile(path, 'w', zipfile.ZIP_DEFLATED) as made:
            for file in files:
                made.write(file, file.relative_to(source))
    else:
        with tarfile.open(path, 'w:gz' if request.param == '.tar.gz' else 'w') as made:
            for file in files:
                made.add(file, file.relative_to(source))
    return path


def test_damaged_archives_give_all_images_or_say_so(archive):
    def check(path):
        chosen, said = outcome(lambda: folders.plan('image_folder', path, None))
        if said:
            assert str(path) in said
            return True
        items = [item for items in chosen.items.values() for item in items]
        examples = [outcome(lambda item=item: plan._attempt(chosen, item))[0] for item in items]
        told = bool(chosen.bad or chosen.notes or any(isinstance(one, str) for one in examples))
        assert told or len(examples) == EXAMPLES
        return told

    each([archive], check, READERS)


def test_damaged_archives_are_told_by_the_command(archive, tmp_path, capsys):
    each(
        [archive],
        lambda path: prepared_by_the_command(path, tmp_path, capsys, EXAMPLES),
        COMMANDS,
    )


# Data of one's own
# --------------------------------------------------------------------------------------------------

OWN = {  # suffix: how its examples are planned, how a source of EXAMPLES examples is made
    '.npz': (arrays.plan, lambda path, x: np.savez(path, x=x, y=np.arange(EXAMPLES) % 2)),
    '.npy': (arrays.plan, lambda path, x: np.save(path, x)),
    '.tar': (webdataset.plan, lambda path, x: test_own_data.tar(path, keys(x))),
    '.parquet': (
        parquet.plan,
        lambda path, x: test_own_data.table(path, x=x.tolist(), y=np.arange(EXAMPLES) % 2),
    ),
}


def keys(x):
    return {f'{i:03d}.npy': test_own_data.npy(example) for i, example in enumerate(x)}


@pytest.mark.parametrize('suffix', OWN)
def test_damaged_data_of_ones_own_are_whole_or_named(suffix, tmp_path):
    path = tmp_path / f'source{suffix}'
    planned, make = OWN[suffix]
    make(path, np.random.default_rng(0).normal(size=(EXAMPLES, 6)).astype(np.float32))

    def read():
        found = planned(str(path), Wanted())
        stored = [plan._attempt(found, item) for items in found.items.values() for item in items]
        bad = [*found.bad, *(example for example in stored if isinstance(example, str))]
        return len(stored), bad

    def check(path):
        found, said = outcome(read)
        assert str(path) in said or found[1] or found[0] == EXAMPLES
        return said or found[1]

    assert read() == (EXAMPLES, [])
    each([path], check, READERS)


# Prepared sets
# --------------------------------------------------------------------------------------------------


@pytest.fixture
def prepared(tmp_path):
    write_set(tmp_path, 'some_set', size=(16, 16))
    return tmp_path


def load(root):
    on_disk._source.cache_clear()
    return data.load('some_set', str(root), short_side=16)


RECORDS = ('*array_record*',)
DESCRIPTIONS = ('dataset_info.json', 'features.json', 'label.labels.txt')


@pytest.mark.parametrize('patterns', [RECORDS, DESCRIPTIONS], ids=['records', 'descriptions'])
def test_damaged_sets_are_whole_or_named(prepared, capsys, patterns):
    folder = prepared / 'some_set' / '1.0.0'
    whole = load(prepared)

    def check(path):
        found, said = outcome(lambda: load(prepared))
        if said:
            assert str(prepared / 'some_set') in said
            return True
        assert found.train.x.shape == whole.train.x.shape
        assert found.test.y.shape == whole.test.y.shape and len(found.class_names) == 3
        return False

    files = [path for pattern in patterns for path in sorted(folder.glob(pattern))]
    each(files, check, READERS)


def test_damaged_decoded_copies_are_made_anew(prepared, capsys):
    whole = load(prepared)
    files = sorted(next((prepared / 'some_set').glob('decoded.*')).iterdir())

    def check(path):
        found, said = outcome(lambda: load(prepared))
        assert not said
        for one, other in zip((*found.train, *found.test), (*whole.train, *whole.test)):
            np.testing.assert_array_equal(one, other)
        return 'decoding anew' in capsys.readouterr().err

    each(files, check, READERS)


# Arrays and graphs
# --------------------------------------------------------------------------------------------------


@pytest.fixture(params=['.npy', '.npz'])
def array(request, tmp_path):
    path = tmp_path / f'x{request.param}'
    values = np.random.default_rng(0).normal(size=(40, 3))
    np.save(path, values) if request.param == '.npy' else np.savez(path, x=values)
    return path


def test_damaged_arrays_are_whole_or_named(array):
    def check(path):
        found, said = outcome(lambda: estimates.load(path))
        assert str(path) in said or found.nbytes == 40 * 3 * 8
        return said

    each([array], check, READERS)


def command(module, monkeypatch, capsys, *arguments):
    """(status, lines of stderr) of a command in this process."""
    monkeypatch.setattr(sys, 'argv', ['command', *map(str, arguments)])
    code, said = outcome(lambda: guard.guard(importlib.import_module(module).main))
    assert not said
    return code, capsys.readouterr().err.splitlines()


def test_damaged_arrays_are_told_by_the_command(array, tmp_path, monkeypatch, capsys):
    np.save(tmp_path / 'y.npy', np.random.default_rng(1).normal(size=(40, 3)))
    options = ('--bound=infonce', '--steps=1', '--fits=1')

    def check(path):
        given = (path, tmp_path / 'y.npy', *options)
        code, lines = command('mi_ssl_jax.estimate_mi', monkeypatch, capsys, *given)
        assert code == 0 or code == 2 and len(lines) == 1 and lines[0].startswith('error: ')
        return code

    each([array], check, COMMANDS)


@pytest.fixture
def graph(tmp_path):
    random, nodes = np.random.default_rng(0), 30
    np.savez(
        tmp_path / 'g.npz',
        features=random.normal(size=(nodes, 4)),
        edges=random.integers(0, nodes, (60, 2)),
        labels=np.arange(nodes) % 3,
        train_mask=np.arange(nodes) < 12,
    )
    return tmp_path / 'g.npz'


def test_damaged_graphs_are_whole_or_named(graph):
    def check(path):
        found, said = outcome(lambda: graph_npz.read(path))
        if not said:
            assert len(found.graph.labels) == 30 and len(found.graph.features) == 30
            assert found.graph.train.sum() == 12 or any('not read' in note for note in found.notes)
        return str(path) in said

    each([graph], check, READERS)


def test_damaged_graphs_are_told_by_the_command(graph, tmp_path, capsys):
    def check(path):
        shutil.rmtree(tmp_path / 'data', ignore_errors=True)
        given = ['graph_npz', f'--source={path}', f'--data_dir={tmp_path / "data"}']
        code, _ = outcome(lambda: prepare.main(given))
        lines = capsys.readouterr().err.splitlines()
        assert code == 0 or code == 2 and len(lines) == 1
        return code

    each([graph], check, COMMANDS)


# Runs
# --------------------------------------------------------------------------------------------------


@pytest.fixture(scope='module')
def trained(tmp_path_factory, own_data_dir):
    """A finished run with its checkpoint."""
    folder = tmp_path_factory.mktemp('runs') / 'run'
    run.run(runs.small('jmi', epochs=1, seeds=1, log_every=10), folder)
    return folder


@pytest.fixture
def finished(trained, tmp_path):
    shutil.copytree(trained, tmp_path / 'run')
    return tmp_path / 'run'


def restored_or_set_aside(folder, call):
    """What `call` gives of a run whose checkpoint may be renamed meanwhile, which is undone."""
    whole = folder.with_name('whole')
    shutil.copytree(folder / 'checkpoints', whole)
    try:
        return call()
    finally:
        shutil.rmtree(folder / 'checkpoints')
        whole.rename(folder / 'checkpoints')


def test_damaged_checkpoints_are_never_restored(finished):
    ready = build.setup(run_folder.read_config(finished))
    like = build.abstract(ready)
    expected = build.stacked(run.restore(ready, finished)[0])
    said = []

    def restore():
        with contextlib.closing(Store(finished / 'checkpoints', keep=1, report=said.append)) as one:
            return one.restore(like)

    def check(path):
        said.clear()
        found, error = outcome(lambda: restored_or_set_aside(finished, restore))
        assert not error
        if found is None:
            assert len(said) == 1 and 'checkpoint 0' in said[0] and '\n' not in said[0]
            return True
        for one, other in zip(_leaves(found[1]), _leaves(expected), strict=True):
            np.testing.assert_array_equal(one, other)
        return False

    files = sorted(path for path in (finished / 'checkpoints').rglob('*') if path.is_file())
    each(files, check, READERS)


def _leaves(tree):
    import jax

    return jax.tree.leaves(jax.device_get(tree))


def encoded(finished, monkeypatch, capsys):
    """A check of the embed command: all arrays, or one line."""

    def check(path):
        shutil.rmtree(finished / 'embeddings', ignore_errors=True)
        on_disk._source.cache_clear()
        code, lines = command('mi_ssl_jax.embed', monkeypatch, capsys, f'--workdir={finished}')
        assert code == 0 or code == 2 and [line for line in lines if line.startswith('error: ')]
        return code

    return check


def test_damaged_checkpoints_are_told_by_the_command(finished, monkeypatch, capsys):
    check = encoded(finished, monkeypatch, capsys)
    files = sorted(path for path in (finished / 'checkpoints').rglob('*') if path.is_file())
    each(files, lambda path: restored_or_set_aside(finished, lambda: check(path)), COMMANDS)


def test_damaged_records_are_told_by_the_command(finished, own_data_dir, monkeypatch, capsys):
    files = sorted(next(own_data_dir.glob('gaussian*')).glob('*/*array_record*'))
    each(files, encoded(finished, monkeypatch, capsys), COMMANDS)


def test_damaged_descriptions_are_told_by_the_command(finished, own_data_dir, monkeypatch, capsys):
    files = sorted(next(own_data_dir.glob('gaussian*')).glob('*/*.json'))
    each(files, encoded(finished, monkeypatch, capsys), COMMANDS)


def test_damaged_configurations_are_told_by_the_command(finished, monkeypatch, capsys):
    each([finished / 'config.json'], encoded(finished, monkeypatch, capsys), COMMANDS)


def test_damaged_configurations_are_complete_or_named(finished):
    def check(path):
        return outcome(lambda: run_folder.read_config(finished))[1]

    each([finished / 'config.json'], check, READERS)


def test_damaged_logs_and_probes_are_drawn_whole_or_named(tmp_path):
    folder = synthetic_runs.write(tmp_path / 'run', 'sdmi', seeds=2, epochs=4)
    rows = [probed.row(branch, [50.0, 51.0]) for branch in ('theta', 'xi')]
    (folder / 'probe.json').write_text(json.dumps({'settings': {'epochs': 4}, 'rows': rows}))
    files = [folder / name for name in ('config.json', 'metrics.jsonl', 'probe.json')]

    def check(path):
        said = [outcome(lambda call=call: call(folder))[1] for call in (report.write, probes.read)]
        return any(said)

    each(files, check, READERS)
