"""Nothing is unpickled, nothing listens, nothing in an archive reaches outside it."""

import ast
import contextlib
import io
import os
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from mi_ssl_jax.data.building import archive
from mi_ssl_jax.runs import checkpoint

ROOT = Path(__file__).parents[2]
FORBIDDEN = {'pickle', 'cloudpickle', 'dill', 'joblib', 'marshal', 'shelve'}


def unsafe(source):
    """What a module does that could run code from data: imports, eval and exec,
    allow_pickle=True."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] + [getattr(node, 'module', None) or '']
            yield from FORBIDDEN & {name.split('.')[0] for name in names}
        elif (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ('eval', 'exec')
        ):
            yield node.func.id
        elif (
            isinstance(node, ast.keyword)
            and node.arg == 'allow_pickle'
            and getattr(node.value, 'value', None) is not False
        ):
            yield 'allow_pickle'


def test_no_module_can_run_code_from_data():
    for path in (*ROOT.glob('mi_ssl_jax/**/*.py'), *ROOT.glob('launch/*.py')):
        assert list(unsafe(path.read_text())) == [], path


@pytest.mark.parametrize(
    'source',
    ['import pickle', 'from joblib import load', 'np.load(x, allow_pickle=True)', 'eval(x)'],
)
def test_the_rule_can_fail(source):
    assert list(unsafe(source))


def test_a_checkpoint_is_restored_without_unpickling(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError('something was unpickled')

    tree = {'a': np.arange(6.0), 'b': {'c': np.int32(3)}}
    with contextlib.closing(checkpoint.Store(tmp_path, keep=1, report=pytest.fail)) as store:
        store.save(1, tree, {'chunk': 1, 'epoch': 1, 'best': None})
        store.wait()
        for name in ('load', 'loads', 'Unpickler'):
            monkeypatch.setattr(pickle, name, refuse)
        found = store.restore(tree)[1]
    np.testing.assert_array_equal(found['a'], tree['a'])


def test_an_array_file_that_holds_objects_is_refused(tmp_path):
    np.save(tmp_path / 'x.npy', np.array([{'a': 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match='allow_pickle=False'):
        np.load(tmp_path / 'x.npy')


def listening():
    """Inodes of this process's sockets that wait for connections."""
    own = {os.readlink(path) for path in Path('/proc/self/fd').iterdir() if path.is_symlink()}
    rows = [
        line.split()
        for name in ('tcp', 'tcp6')
        for line in Path(f'/proc/self/net/{name}').read_text().splitlines()[1:]
    ]
    return {row[9] for row in rows if row[3] == '0A' and f'socket:[{row[9]}]' in own}


@pytest.mark.skipif(not Path('/proc/self/net/tcp').exists(), reason='needs /proc')
def test_saving_and_logging_open_no_port(tmp_path):
    from mi_ssl_jax.runs import log

    before = listening()
    writer = log.Writer(tmp_path, size=0, timing_size=0, report=pytest.fail, make_room=lambda: None)
    writer.write({'epoch': 1}, step=1)
    with contextlib.closing(checkpoint.Store(tmp_path / 'c', keep=1, report=pytest.fail)) as store:
        store.save(1, {'a': np.zeros(3)}, {'chunk': 1, 'epoch': 1, 'best': None})
        store.wait()
        assert listening() <= before
    writer.close()


@pytest.mark.parametrize('kind', [tarfile.SYMTYPE, tarfile.LNKTYPE])
def test_a_link_in_an_archive_is_not_followed(tmp_path, kind):
    secret = tmp_path / 'secret'
    secret.write_bytes(b'secret')
    with tarfile.open(tmp_path / 'a.tar', 'w') as file:
        member = tarfile.TarInfo('train/cat/a.png')
        member.type, member.linkname = kind, str(secret)
        file.addfile(member)
        member = tarfile.TarInfo('train/cat/b.png')
        member.size = 1
        file.addfile(member, io.BytesIO(b'b'))
    tree = archive.open_tree(tmp_path / 'a.tar')
    assert {tree.read(path) for path in tree.sizes} == {b'b'}


def test_a_link_out_of_a_zip_is_bad(tmp_path):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        member = zipfile.ZipInfo('train/cat/a.png')
        member.external_attr = 0o120777 << 16
        file.writestr(member, '/etc/passwd')
    tree = archive.open_tree(tmp_path / 'a.zip')
    assert not tree.sizes and 'a link' in dict(tree.bad)['train/cat/a.png']
