"""Nothing of a source folder is passed over in silence, nothing foreign is taken in, and a prepared
set knows what it was made from."""

import os
import shutil

import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.data import records
from mi_ssl_jax.data.building import archive, folders
from tests.helpers import samples


@pytest.fixture
def folder(tmp_path):
    return samples.write_folder(
        tmp_path / 'src', ('cat', 'dog'), train=4, val=2, size=(8, 8), suffix='.png'
    )


def an_image(folder):
    return next((folder / 'train' / 'cat').glob('*.png'))


def both(prepare, folder, complaint, *, kept='train: 8 images, 2 classes of 4'):
    """The complaint stands alone and ends in 2; with --skip_bad it is left out and said."""
    code, _, err = prepare('image_folder', folder)
    assert (code, len(err)) == (2, 2) and err[0] == f'bad file: {folder}/{complaint}'
    code, out, err = prepare('image_folder', folder, '--skip_bad')
    assert (code, err) == (0, []) and f'left out: {folder}/{complaint}\n' in out and kept in out


# Foreign files and folders
# --------------------------------------------------------------------------------------------------

SYSTEM = ('.ipynb_checkpoints', '.Trash-1000', '@eaDir', '__MACOSX', '#recycle', '$RECYCLE.BIN')


@pytest.mark.parametrize('name', SYSTEM)
@pytest.mark.parametrize('place', ['', 'train', 'train/cat', 'val/dog'])
def test_system_folders_are_no_classes_and_double_nothing(prepare, folder, name, place):
    shutil.copytree(folder / 'train' / 'cat', folder / place / name / 'train' / 'cat')
    code, out, err = prepare('image_folder', folder)
    assert (code, err) == (0, []) and 'train: 8 images, 2 classes of 4' in out
    where = f'{place}/{name}'.lstrip('/')
    assert f'passed over: 1 hidden or system name: {where}\n' in out


def test_files_of_desktops_are_passed_over(prepare, folder):
    for name in ('.DS_Store', 'Thumbs.db', 'desktop.ini', '._a.png'):
        (folder / 'train' / 'cat' / name).write_bytes(b'x')
    code, out, err = prepare('image_folder', folder)
    assert (code, err) == (0, []) and 'train: 8 images' in out
    assert 'passed over: 4 hidden or system names: train/cat/.DS_Store, ' in out


def test_a_link_to_a_parent_multiplies_nothing(prepare, folder):
    (folder / 'train' / 'cat' / 'up').symlink_to('..')
    both(prepare, folder, 'train/cat/up: a link to a folder above it')


@pytest.mark.parametrize('target', ['.', '../..', '../../..', '/'])
def test_links_to_any_folder_above(folder, target):
    (folder / 'train' / 'loop').symlink_to(target)
    tree = archive.open_tree(folder)
    assert tree.bad == (('train/loop', 'a link to a folder above it'),) and len(tree.sizes) == 12


def test_links_that_go_in_a_circle_between_folders(tmp_path, folder):
    for one, other in (('a', 'b'), ('b', 'a')):
        (tmp_path / one).mkdir()
        (tmp_path / one / 'next').symlink_to(tmp_path / other)
    (folder / 'train' / 'eel').symlink_to(tmp_path / 'a')
    assert [path for path, _ in archive.open_tree(folder).bad] == ['train/eel/next/next']


def test_a_class_that_stands_twice_is_said(prepare, folder):
    (folder / 'train' / 'eel').symlink_to('cat')
    code, out, _ = prepare('image_folder', folder)
    assert code == 0 and 'train/eel and train/cat are one folder: it is taken twice' in out


@pytest.mark.parametrize('name', ['eel', 'cat/lost.png'])
def test_links_to_nothing(prepare, folder, name):
    (folder / 'train' / name).symlink_to('/nowhere/at/all')
    both(prepare, folder, f'train/{name}: a link to nothing')


@pytest.mark.parametrize('name', ['val/dog', 'train/dog', 'train/dog/below'])
def test_an_unreadable_folder_is_not_an_empty_one(prepare, folder, monkeypatch, name):
    (folder / name).mkdir(exist_ok=True)
    scandir = os.scandir

    def refusing(path):
        if str(path).endswith(f'src/{name}'):
            raise PermissionError(13, 'Permission denied', str(path))
        return scandir(path)

    monkeypatch.setattr(archive.os, 'scandir', refusing)  # root may read what chmod forbids
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and err[0] == f'bad file: {folder}/{name}: Permission denied'


def test_an_unreadable_source(prepare, folder, monkeypatch):
    def refusing(path):
        raise PermissionError(13, 'Permission denied', str(path))

    monkeypatch.setattr(archive.os, 'scandir', refusing)
    code, _, err = prepare('image_folder', folder)
    assert (code, err) == (2, [f'error: cannot read {folder}: Permission denied'])


def test_unreadable_files_and_pipes(prepare, folder, monkeypatch):
    os.mkfifo(folder / 'train' / 'cat' / 'pipe.png')
    both(prepare, folder, 'train/cat/pipe.png: no regular file')


# Images that no class has
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('split', ['train', 'val'])
def test_loose_images_beside_class_folders(prepare, folder, split):
    shutil.copy(an_image(folder), folder / split / 'loose.png')
    both(prepare, folder, f'{split}/loose.png: lies beside the class folders, not in one')


def test_many_loose_images_are_one_line(prepare, folder):
    for i in range(3):
        shutil.copy(an_image(folder), folder / 'train' / f'{i}.png')
    both(
        prepare,
        folder,
        'train: 3 images lie beside the class folders, not in one, such as 0.png',
    )


def test_tiff_and_gif_are_read(prepare, tmp_path, folder):
    random = np.random.RandomState(3)
    images = {suffix: samples.random_image(random, 8, 8) for suffix in ('.tif', '.TIFF', '.ppm')}
    for suffix, image in images.items():
        samples.write_image(folder / 'train' / 'cat' / f'x{suffix}', image)
    code, out, err = prepare('image_folder', folder)
    assert (code, err) == (0, []) and 'train: 11 images, 2 classes of 4 to 7' in out
    held = {
        x.tobytes() for x in data.load('image_folder', str(tmp_path / 'data'), short_side=8).train.x
    }
    assert {image.tobytes() for image in images.values()} <= held


def test_several_images_in_one_file_are_bad(prepare, folder):
    from PIL import Image

    frames = [Image.fromarray(np.full((8, 8), 60 * k, np.uint8)) for k in range(3)]
    for suffix in ('tif', 'gif'):
        file = folder / 'train' / 'cat' / f'many.{suffix}'
        frames[0].save(file, save_all=True, append_images=frames[1:])
        both(prepare, folder, f'train/cat/many.{suffix}: holds 3 images: one a file is needed')
        file.unlink()
        shutil.rmtree(folder.parent / 'data')


@pytest.mark.parametrize('suffix', ['.heic', '.AVIF', '.npy'])
def test_formats_that_are_not_read_are_bad(prepare, folder, suffix):
    (folder / 'val' / 'dog' / f'x{suffix}').write_bytes(b'x')
    reason = f'{suffix.lower()} is not read: convert it to PNG or JPEG'
    both(prepare, folder, f'val/dog/x{suffix}: {reason}')


def test_what_is_passed_over_is_said(prepare, folder):
    shutil.copytree(folder / 'val', folder / 'test')
    (folder / 'train' / 'cat' / 'boxes.txt').write_text('no image')
    shutil.copytree(folder / 'train' / 'dog', folder / 'train' / 'dog' / 'one')
    shutil.copytree(folder / 'train' / 'cat', folder / 'train' / 'dog' / 'two')
    for split in ('train', 'val'):
        shutil.copytree(folder / split / 'dog', folder / split / 'Dog')
    shutil.rmtree(folder / 'val' / 'cat')
    code, out, err = prepare('image_folder', folder)
    assert (code, err) == (0, [])
    for line in (
        'passed over: 4 images neither in train/ nor in val/: test/cat/, test/dog/',
        'passed over: 3 files, no images by name, such as train/Dog/two/boxes.txt',
        'note: classes alike but for case: Dog, dog',
        'note: the folders below train/Dog (one, two) are all of class Dog; so too in 1 more',
        'note: no image in validation (1 of the classes): cat',
    ):
        assert line in out.splitlines()


def test_several_train_folders_are_an_error(prepare, tmp_path, folder):
    shutil.copytree(folder, tmp_path / 'all' / 'a')
    shutil.copytree(folder, tmp_path / 'all' / 'b')
    code, _, err = prepare('image_folder', tmp_path / 'all')
    assert code == 2 and len(err) == 1 and 'several train/ folders (a/train, b/train)' in err[0]
    shutil.rmtree(tmp_path / 'all' / 'b' / 'train')
    (tmp_path / 'all' / 'b' / 'train').mkdir()
    code, out, _ = prepare('image_folder', tmp_path / 'all')  # an empty one is none
    assert code == 0 and 'neither in a/train/ nor in a/val/: b/val/cat/, b/val/dog/' in out


# Lists and names of classes
# --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['cat ', ' cat', 'c\nat', 'cat\u2028x', '\u3000cat'])
def test_class_names_that_would_come_back_changed(prepare, tmp_path, folder, name):
    for split in ('train', 'val'):
        shutil.copytree(folder / split / 'cat', folder / split / name)
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and len(err) == 3
    assert all('white space or holds a line break: rename the folder' in line for line in err[:2])
    code, out, _ = prepare('image_folder', folder, '--skip_bad')
    assert code == 0 and 'train: 8 images, 2 classes of 4' in out
    assert data.find('image_folder', str(tmp_path / 'data')).class_names == ('cat', 'dog')


@pytest.mark.parametrize('text', ['\ufeffn01\nn02\n', 'n01  \r\nn02\t\r\n', '# x\n\n  n02\nn01'])
def test_class_lists_as_editors_save_them(prepare, tmp_path, text):
    folder = samples.write_folder(tmp_path / 'src', ('n01', 'n02', 'n03'), size=(8, 8))
    (tmp_path / 'list.txt').write_bytes(text.encode())
    code, out, err = prepare('imagenet100', folder, f'--classes={tmp_path}/list.txt')
    assert (code, err) == (0, []) and 'train: 12 images, 2 classes of 6' in out


def test_class_lists_that_are_not_utf8(prepare, tmp_path):
    folder = samples.write_folder(tmp_path / 'src', ('n01',), size=(64, 64))
    (tmp_path / 'list.txt').write_bytes('n01'.encode('utf-16'))
    code, _, err = prepare('imagenet100', folder, f'--classes={tmp_path}/list.txt')
    assert code == 2 and len(err) == 1 and f'the class list {tmp_path}/list.txt' in err[0]
    (folder / 'wnids.txt').write_bytes('n01'.encode('utf-16'))
    code, _, err = prepare('tiny_imagenet', folder)
    assert code == 2 and len(err) == 1
    assert err[0].startswith(f'error: {folder}/wnids.txt: ') and 'save it as UTF-8' in err[0]
    (folder / 'wnids.txt').write_bytes('\ufeffn01\r\n'.encode())
    assert prepare('tiny_imagenet', folder)[0] == 0


def test_validation_images_beyond_the_list(tmp_path, monkeypatch):
    folder = samples.write_folder(tmp_path / 'src', ('n01',), val=1)
    for number in (0, 1, 50_001):
        shutil.copy(
            next((folder / 'val' / 'n01').iterdir()),
            folder / 'val' / f'ILSVRC2012_val_{number:08d}.JPEG',
        )
    monkeypatch.setattr(folders, '_tfds_lines', lambda file: ['n01'] * 50_000)
    pairs, bad = folders._validation(archive.open_tree(folder), 'val/')
    assert len(pairs) == 2 and {path[-13:] for path, _ in bad} == {'00000000.JPEG', '00050001.JPEG'}


# CIFAR
# --------------------------------------------------------------------------------------------------


def unpacked(folder, files):
    folder.mkdir(parents=True)
    for name, contents in files.items():
        (folder / name).write_bytes(contents)
    return folder


def test_cifar_files_that_are_empty_twice_or_marked(prepare, tmp_path):
    files, _ = samples.cifar_files('cifar10')
    files['batches.meta.txt'] = b'\xef\xbb\xbf' + files['batches.meta.txt']
    source = unpacked(tmp_path / 'src' / 'a', files | {'data_batch_4.bin': b''})
    code, _, err = prepare('cifar10', source)
    assert code == 2 and err[0] == 'bad file: data_batch_4.bin: empty file'
    code, out, _ = prepare('cifar10', source, '--skip_bad')
    assert code == 0 and 'train: 80 images' in out
    assert data.find('cifar10', str(tmp_path / 'data')).class_names[0] == 'class0'
    unpacked(tmp_path / 'src' / 'b', files)
    shutil.rmtree(tmp_path / 'data')
    code, _, err = prepare('cifar10', tmp_path / 'src')
    assert code == 2 and len(err) == 1 and 'twice, a/' in err[0]


# What a prepared set was made from
# --------------------------------------------------------------------------------------------------


def test_a_second_source_is_refused(prepare, tmp_path, folder):
    assert prepare('image_folder', folder)[0] == 0
    shutil.copytree(folder, tmp_path / 'same')
    shutil.make_archive(str(tmp_path / 'same'), 'zip', folder)
    other = shutil.copytree(folder, tmp_path / 'other')
    (other / 'train' / 'cat').rename(other / 'train' / 'fox')
    (other / 'val' / 'cat').rename(other / 'val' / 'fox')
    code, _, err = prepare('image_folder', other)
    assert code == 2 and len(err) == 1
    assert f'was prepared from another source, {folder}: remove that folder' in err[0]
    for same in (None, folder, tmp_path / 'same', tmp_path / 'same.zip'):
        code, out, _ = prepare('image_folder', same)
        assert (
            code == 0
            and f'is prepared already: {tmp_path}/data/image_folder/1.0.0, from {folder} ' in out
        )
    shutil.copy(an_image(folder), folder / 'train' / 'cat' / 'new.png')
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and 'was prepared from what this source was then' in err[0]
    shutil.rmtree(folder)
    assert prepare('image_folder', folder)[0] == 0  # it is known by its name
    code, _, err = prepare('image_folder', tmp_path / 'nowhere')
    assert code == 2 and 'does not exist' in err[0]


def test_a_second_source_of_cifar_and_graphs(prepare, tmp_path):
    files, _ = samples.cifar_files('cifar10')
    assert prepare('cifar10', samples.write_tar(tmp_path / 'a.tar.gz', files))[0] == 0
    assert prepare('cifar10', unpacked(tmp_path / 'same', files))[0] == 0
    other = files | {'test_batch.bin': files['data_batch_1.bin']}
    code, _, err = prepare('cifar10', unpacked(tmp_path / 'other', other))
    assert code == 2 and 'was prepared from another source' in err[0]
    graph = {'features': np.eye(4), 'edges': np.array([[0, 1], [2, 3]]), 'labels': np.arange(4) % 2}
    np.savez(tmp_path / 'a.npz', **graph)
    np.savez(tmp_path / 'b.npz', **graph | {'features': 2 * np.eye(4)})
    assert (
        prepare('graph_npz', tmp_path / 'a.npz')[0] == prepare('graph_npz', tmp_path / 'a.npz')[0]
    )
    code, _, err = prepare('graph_npz', tmp_path / 'b.npz')
    assert code == 2 and f'was prepared from another source, {tmp_path}/a.npz' in err[0]


def test_sets_that_do_not_say_from_what_they_were_made(prepare, tmp_path, folder):
    assert prepare('image_folder', folder)[0] == 0
    stored = tmp_path / 'data' / 'image_folder' / '1.0.0'
    for text in (None, '', '[]', '{"source": 1}'):
        (stored / 'source.json').unlink() if text is None else (stored / 'source.json').write_text(
            text
        )
        assert records.origin(stored) is None
        code, out, _ = prepare('image_folder', folder)
        assert code == 0 and 'it does not say from what' in out


def test_what_generated_sets_do_not_take(prepare, tmp_path):
    code, _, err = prepare('gaussian', tmp_path)
    assert code == 2 and '--source is not for gaussian, which is generated' in err[0]
    code, _, err = prepare('graph_npz', None, '--skip_bad')
    assert code == 2 and '--skip_bad is for sets of images' in err[0]
