"""What a folder gives, an archive gives, or it is an error: links, prefixes, names, damage."""

import bz2
import gzip
import io
import lzma
import os
import shutil
import subprocess
import tarfile
import zipfile

import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.data.building import archive
from tests.helpers import samples


@pytest.fixture
def folder(tmp_path):
    return samples.write_folder(
        tmp_path / 'src', ('cat', 'dog'), train=4, val=2, size=(8, 8), suffix='.png'
    )


def contents(place):
    tree = archive.open_tree(place)
    return {path: tree.read(path) for path in tree.sizes}, sorted(tree.folders), tree.bad


def write_tar(path, folder, names=('train', 'val'), mode='w'):
    with tarfile.open(path, mode) as file:
        for name in names:
            file.add(folder / name, name)
    return path


def write_zip(path, folder, prefix='', compression=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, 'w', compression) as file:
        for entry in sorted(folder.rglob('*')):
            file.write(entry, prefix + str(entry.relative_to(folder)))
    return path


def refused(place, reason):
    with pytest.raises(ValueError, match=reason) as caught:
        archive.open_tree(place)
    assert str(place) in str(caught.value) and '\n' not in str(caught.value)


# Prefixes, compressions, names
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('mode', ['w', 'w:gz', 'w:bz2', 'w:xz'])
def test_tars_of_every_compression_give_what_the_folder_gives(tmp_path, folder, mode):
    (folder / 'train' / 'empty').mkdir()
    assert contents(write_tar(tmp_path / 'x', folder, mode=mode)) == contents(folder)


def test_a_dot_before_the_names_changes_nothing(prepare, tmp_path, folder):
    tar = write_tar(tmp_path / 'x.tar.gz', folder, ('.',), 'w:gz')
    (folder / 'train' / 'eel').mkdir()
    assert contents(write_zip(tmp_path / 'x.zip', folder, './')) == contents(folder)
    code, out, err = prepare('image_folder', tar)
    assert (code, err) == (0, []) and 'train: 8 images, 2 classes of 4' in out


def test_separators_of_windows(tmp_path, folder):
    with zipfile.ZipFile(tmp_path / 'x.zip', 'w') as file:
        for entry in folder.rglob('*.png'):
            member = zipfile.ZipInfo('x')
            member.filename = str(entry.relative_to(folder)).replace('/', '\\')
            file.writestr(member, entry.read_bytes())
    assert contents(tmp_path / 'x.zip') == contents(folder)


@pytest.mark.parametrize('flagged', [True, False])
def test_names_beyond_ascii_in_zips(tmp_path, flagged):
    """Some programs write UTF-8 without saying so; zipfile then takes it for an old code page."""
    samples.write_image(
        tmp_path / 'src' / 'train' / 'Kätzchen' / 'ä.png', np.zeros((2, 2), np.uint8)
    )
    whole = write_zip(tmp_path / 'x.zip', tmp_path / 'src')
    if not flagged:
        raw = bytearray(whole.read_bytes())
        for start, offset in ((b'PK\3\4', 6), (b'PK\1\2', 8)):
            place = raw.find(start)
            while place >= 0:
                raw[place + offset + 1] &= ~0x08
                place = raw.find(start, place + 4)
        whole.write_bytes(raw)
        assert 'Kätzchen' not in ''.join(zipfile.ZipFile(whole).namelist())
    assert contents(whole) == contents(tmp_path / 'src')


@pytest.mark.parametrize('kind', ['folder', 'tar', 'zip'])
def test_names_that_are_not_utf8_are_named(prepare, tmp_path, folder, kind):
    odd = os.fsencode(folder / 'train' / 'cat') + b'/\xe9t\xe9.png'
    shutil.copy(next((folder / 'train' / 'cat').iterdir()), odd)
    source = folder
    if kind == 'tar':
        subprocess.run(['tar', '-cf', tmp_path / 'x.tar', 'train', 'val'], cwd=folder, check=True)
        source = tmp_path / 'x.tar'
    if kind == 'zip':
        shutil.move(odd, folder / 'train' / 'cat' / 'AtA.png')
        source = write_zip(tmp_path / 'x.zip', folder)
        source.write_bytes(source.read_bytes().replace(b'AtA.png', b'\xe9t\xe9.png'))
    code, _, err = prepare('image_folder', source)
    assert code == 2 and len(err) == 2
    assert err[0].endswith('train/cat/\\udce9t\\udce9.png: its name is not UTF-8: rename it')
    code, out, err = prepare('image_folder', source, '--skip_bad')
    assert (code, err) == (0, []) and out.count('left out:') == 1 and 'train: 8 images' in out


# Links
# --------------------------------------------------------------------------------------------------


def add_links(folder):
    """Links to a file, to a class of another place, over a link, and two names of one file."""
    train = folder / 'train'
    one = sorted((train / 'cat').iterdir())[0]
    (folder / 'store').mkdir()
    shutil.copy(one, folder / 'store' / 'x.png')
    (train / 'fox').symlink_to('../store')
    (train / 'cat' / 'link.png').symlink_to('../fox/x.png')
    os.link(one, train / 'cat' / 'a_hard_link.png')
    os.link(one, train / 'dog' / 'z_hard_link.png')


def test_links_in_archives_give_what_they_give_in_folders(tmp_path, folder):
    add_links(folder)
    tar = write_tar(tmp_path / 'x.tar', folder, ('val', 'train', 'store'))
    with tarfile.open(tar) as file:
        assert sum(member.islnk() for member in file) == 2
    subprocess.run(['zip', '-qry', tmp_path / 'x.zip', '.'], cwd=folder, check=True)
    whole = contents(folder)
    assert {'train/fox/x.png', 'train/cat/link.png', 'train/dog/z_hard_link.png'} <= whole[0].keys()
    assert contents(tar) == whole == contents(tmp_path / 'x.zip')


def member(name, *, kind=tarfile.REGTYPE, link='', size=0):
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, link, size
    return made


def test_a_hard_link_may_come_before_its_file(tmp_path):
    with tarfile.open(tmp_path / 'x.tar', 'w') as file:
        file.addfile(member('train/a.png', kind=tarfile.LNKTYPE, link='./train/b.png'))
        file.addfile(member('train/b.png', size=3), io.BytesIO(b'abc'))
    assert contents(tmp_path / 'x.tar')[0] == {'train/a.png': b'abc', 'train/b.png': b'abc'}


@pytest.mark.parametrize(
    'link, reason',
    [
        ('nowhere.png', 'a link to nothing in the archive'),
        ('../../../out.png', 'a link out of the archive'),
        ('/etc/passwd', 'a link out of the archive'),
        ('a.png', 'a link in a circle'),
        ('..', 'a link to a folder above it'),
        ('../..', None),
    ],
)
def test_links_that_lead_nowhere_are_bad(tmp_path, link, reason):
    with tarfile.open(tmp_path / 'x.tar', 'w') as file:
        file.addfile(member('train/cat/a.png', kind=tarfile.SYMTYPE, link=link))
        file.addfile(member('train/cat/b.png', size=3), io.BytesIO(b'abc'))
    reason = reason or 'a link to a folder above it'
    found, _, bad = contents(tmp_path / 'x.tar')
    assert list(found) == ['train/cat/b.png'] and bad == (('train/cat/a.png', reason),)
    (tmp_path / 'train' / 'cat').mkdir(parents=True)
    (tmp_path / 'train' / 'cat' / 'b.png').write_bytes(b'abc')
    if not link.startswith('/') and 'out' not in link:
        (tmp_path / 'train' / 'cat' / 'a.png').symlink_to(link)
        (tmp_path / 'x.tar').unlink()
        found, _, bad = contents(tmp_path)
        assert list(found) == ['train/cat/b.png'] and [path for path, _ in bad] == [
            'train/cat/a.png'
        ]


def test_pipes_and_devices_are_bad_and_never_waited_for(tmp_path, folder):
    os.mkfifo(folder / 'train' / 'cat' / 'pipe.png')
    tar = write_tar(tmp_path / 'x.tar', folder)
    for place in (folder, tar):
        assert contents(place)[2] == (('train/cat/pipe.png', 'no regular file'),)


def test_sparse_members(tmp_path):
    whole = b'\0' * 1_000_000 + b'end'
    (tmp_path / 'holes.png').write_bytes(b'')
    os.truncate(tmp_path / 'holes.png', 1_000_000)
    with open(tmp_path / 'holes.png', 'ab') as file:
        file.write(b'end')
    subprocess.run(['tar', '-cSf', 'x.tar', 'holes.png'], cwd=tmp_path, check=True)
    assert contents(tmp_path / 'x.tar')[0] == {'holes.png': whole}


# Damage
# --------------------------------------------------------------------------------------------------


def third_last(tar):
    with tarfile.open(tar) as file:
        return [each for each in file if each.isfile()][-3]


@pytest.mark.parametrize('how', ['damaged', 'zeroed', 'cut', 'cut inside', 'joined', 'reserved'])
def test_a_damaged_tar_is_an_error(prepare, tmp_path, folder, how):
    tar = write_tar(tmp_path / 'x.tar', folder, ('val', 'train'))
    raw, offset = bytearray(tar.read_bytes()), third_last(tar).offset
    if how == 'damaged':
        raw[offset + 10 : offset + 20] = b'\xff' * 10
    elif how == 'zeroed':
        raw[offset : offset + 512] = bytes(512)
    elif how == 'joined':
        raw = raw + raw
    elif how == 'reserved':  # a download that reserved its place and broke off
        raw[offset:] = bytes(len(raw) - offset + 20_000)
    else:
        raw = raw[: offset + 700 * (how == 'cut inside')]
    tar.write_bytes(raw)
    for options in ((), ('--skip_bad',)):
        code, out, err = prepare('image_folder', tar, *options)
        assert (code, out, len(err)) == (2, '', 1) and err[0].startswith(
            f'error: cannot read {tar}:'
        )


@pytest.mark.parametrize('pack', [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_tar_that_fails_its_check_is_an_error(tmp_path, folder, pack):
    whole = pack(write_tar(tmp_path / 'x.tar', folder).read_bytes())
    tail = 8 if pack is gzip.compress else 20
    for damaged in (
        whole[:-tail] + bytes(byte ^ 255 for byte in whole[-tail:]),  # the checksums
        whole[: len(whole) // 2] + b'\0\xff' * 8 + whole[len(whole) // 2 + 16 :],
        whole[:-tail],
    ):
        (tmp_path / 'x').write_bytes(damaged)
        refused(tmp_path / 'x', 'cannot read')


def test_a_compressed_tar_beyond_the_memory_is_an_error(tmp_path, folder, monkeypatch):
    monkeypatch.setattr(archive.tar, '_LIMIT', 5_000)
    refused(write_tar(tmp_path / 'x.tar.gz', folder, mode='w:gz'), 'unpack it and give the folder')
    assert contents(write_tar(tmp_path / 'x.tar', folder)) == contents(folder)


@pytest.fixture
def zipped(tmp_path, folder):
    """(whole bytes, start of the first entry of the directory) of a zip, and a way to change it."""
    whole = write_zip(tmp_path / 'x.zip', folder).read_bytes()

    def change(*edits):
        raw = bytearray(whole)
        for place, value in edits:
            raw[place] = value
        (tmp_path / 'x.zip').write_bytes(raw)
        return tmp_path / 'x.zip'

    return whole, change


@pytest.mark.parametrize(
    'edits, reason',
    [(((6, 1), (8, 1)), 'is encrypted'), (((8, 9), (10, 9)), 'is compressed by Deflate64')],
)
def test_zips_that_python_cannot_read_say_why(prepare, zipped, edits, reason):
    whole, change = zipped
    name = b'train/cat/cat_train_0.png'
    local = whole.index(name) - 30
    entry = whole.index(name, whole.index(b'PK\1\2')) - 46
    (here, value), (there, again) = edits
    place = change((local + here, value), (entry + there, again))
    for options in ((), ('--skip_bad',)):
        code, _, err = prepare('image_folder', place, *options)
        assert code == 2 and len(err) == 1 and reason in err[0] and 'unpack it' in err[0]


def test_a_zip_whose_directory_swallows_a_file_is_an_error(prepare, zipped):
    whole, change = zipped
    entry = whole.rfind(b'PK\1\2', 0, whole.rfind(b'PK\1\2'))  # the last but one
    length = whole.rfind(b'PK\1\2') - entry
    swallowed = whole.rfind(b'PK\5\6') - entry - length  # bytes of the last, as a comment
    path = change((entry + 32, swallowed % 256), (entry + 33, swallowed // 256))
    code, out, err = prepare('image_folder', path)
    assert (code, out, len(err)) == (2, '', 1) and 'files instead of' in err[0]


def test_a_zip_that_holds_a_name_twice_loses_nothing_unsaid(prepare, tmp_path, zipped):
    path = zipped[1]()
    with zipfile.ZipFile(path, 'a') as file, pytest.warns(UserWarning, match='Duplicate'):
        file.writestr(file.namelist()[-1], b'another')
    code, out, err = prepare('image_folder', path)
    assert (code, out, len(err)) == (2, '', 1) and 'stands in it twice: unpack it' in err[0]


def test_a_damaged_member_of_a_zip_is_named(prepare, tmp_path, zipped):
    whole, change = zipped
    name = b'train/cat/cat_train_0.png'
    start = whole.index(name) + len(name)
    place = change(*[(i, whole[i] ^ 255) for i in range(start, start + 30)])
    code, _, err = prepare('image_folder', place)
    assert code == 2 and len(err) == 2
    assert err[0].startswith(f'bad file: {place}/train/cat/cat_train_0.png: damaged in the archive')
    code, out, _ = prepare('image_folder', place, '--skip_bad')
    assert code == 0 and out.count('left out:') == 1 and 'train: 7 images' in out
    assert len(data.load('image_folder', str(tmp_path / 'data'), short_side=8).train.y) == 7
