"""The prepare command: official layouts, damaged and mislabelled input, interrupts. Sources are
made here."""

import hashlib
import shutil
import signal
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from mi_ssl_jax import data
from mi_ssl_jax.data import images
from mi_ssl_jax.data import prepare as command
from mi_ssl_jax.data.building import archive, folders, plan
from tests.helpers import samples

TINY = ('n01443537', 'n02002724', 'n02231487')


@pytest.fixture
def tiny(tmp_path):
    """A tiny-imagenet-200 folder of 3 classes; one training image is grey."""
    root = samples.write_folder(tmp_path / 'tiny-imagenet-200', TINY, held_out='unused')
    random = np.random.RandomState(2)
    for wnid in TINY:
        files = sorted((root / 'train' / wnid).iterdir())
        (root / 'train' / wnid / 'images').mkdir()
        for file in files:
            file.rename(file.parent / 'images' / file.name)
        (root / 'train' / wnid / f'{wnid}_boxes.txt').write_text('x.JPEG\t0\t0\t9\t9\n')
    shutil.rmtree(root / 'unused')
    grey = random.randint(0, 256, (64, 64)).astype(np.uint8)
    samples.write_image(root / 'train' / TINY[0] / 'images' / 'grey.JPEG', grey)
    lines = [f'val_{i}.JPEG\t{TINY[i % 3]}\t0\t0\t63\t63' for i in range(9)]
    for i in range(9):
        samples.write_image(root / 'val' / 'images' / f'val_{i}.JPEG', samples.random_image(random))
    (root / 'val' / 'val_annotations.txt').write_text('\n'.join(lines) + '\n')
    (root / 'wnids.txt').write_text('\n'.join(reversed(TINY)) + '\n')
    return root


def by_class(split):
    """Label -> the set of its images, as bytes."""
    return {
        int(k): {image.tobytes() for image in split.x[split.y == k]} for k in np.unique(split.y)
    }


def decoded(files):
    return {images.decode(file.read_bytes(), 3).tobytes() for file in files}


def nothing_left(tmp_path, name):
    return [
        path.name for path in (tmp_path / 'data' / name).glob('*') if path.name != '.lock'
    ] == []


@pytest.mark.parametrize('name', ['cifar10', 'cifar100'])
@pytest.mark.parametrize('kind', ['archive', 'folder'])
def test_cifar(prepare, tmp_path, name, kind):
    files, stored = samples.cifar_files(name)
    if kind == 'archive':
        source = samples.write_tar(tmp_path / 'cifar.tar.gz', files)
    else:
        source = tmp_path / 'unpacked'
        source.mkdir()
        for file, contents in files.items():
            (source / file).write_bytes(contents)
    code, out, err = prepare(name, source)
    assert (code, err) == (0, [])
    assert f'train: {len(stored["train"][1])} images' in out and 'test: 20 images' in out
    result = data.load(name, str(tmp_path / 'data'))
    for split in ('train', 'test'):
        np.testing.assert_array_equal(getattr(result, split).x, stored[split][0])
        np.testing.assert_array_equal(getattr(result, split).y, stored[split][1])
    assert result.class_names[:2] == ('class0', 'class1') and result.shape == (32, 32, 3)


def test_cifar_bad_records_are_named_and_can_be_left_out(prepare, tmp_path):
    files, stored = samples.cifar_files('cifar10')
    broken = bytearray(files['data_batch_2.bin'])
    broken[3 * 3073] = 77
    files['data_batch_2.bin'] = bytes(broken)
    files['test_batch.bin'] = files['test_batch.bin'][:-100]
    source = samples.write_tar(tmp_path / 'cifar.tar.gz', files)
    code, _, err = prepare('cifar10', source)
    assert code == 2 and len(err) == 3 and nothing_left(tmp_path, 'cifar10')
    assert err[0] == 'bad file: test_batch.bin: truncated, 61360 bytes are no multiple of 3073'
    assert err[1] == 'bad file: data_batch_2.bin record 3: its label 77 is outside 0 to 9'
    assert (
        err[2].startswith('error: 2 bad files, so nothing was written') and '--skip_bad' in err[2]
    )
    code, out, _ = prepare('cifar10', source, '--skip_bad')
    assert code == 0 and out.count('left out:') == 2
    assert 'train: 99 images' in out and 'test: 19 images' in out
    result = data.load('cifar10', str(tmp_path / 'data'))
    np.testing.assert_array_equal(result.train.x, np.delete(stored['train'][0], 23, axis=0))


def test_cifar_of_the_wrong_kind(prepare, tmp_path):
    files, _ = samples.cifar_files('cifar100')
    code, _, err = prepare('cifar10', samples.write_tar(tmp_path / 'a.tar.gz', files))
    assert (
        code == 2
        and len(err) == 1
        and 'lacks data_batch_1.bin' in err[0]
        and 'cifar-10-binary' in err[0]
    )


@pytest.mark.parametrize('zipped', [False, True])
def test_tiny_imagenet(prepare, tmp_path, tiny, zipped):
    source = tiny
    if zipped:
        source = shutil.make_archive(str(tmp_path / 'tiny'), 'zip', tmp_path, tiny.name)
    code, out, err = prepare('tiny_imagenet', source)
    assert (code, err) == (0, [])
    assert (
        'train: 19 images, 3 classes of 6 to 7' in out
        and 'validation: 9 images, 3 classes of 3' in out
    )
    result = data.load('tiny_imagenet', str(tmp_path / 'data'))
    assert result.class_names == TINY and result.train.x.shape == (19, 64, 64, 3)
    for label, wnid in enumerate(TINY):
        assert by_class(result.train)[label] == decoded(
            (tiny / 'train' / wnid / 'images').iterdir()
        )
        expected = decoded(
            tiny / 'val' / 'images' / f'val_{i}.JPEG' for i in range(9) if i % 3 == label
        )
        assert by_class(result.test)[label] == expected


def test_bad_images_are_all_named(prepare, tmp_path, tiny):
    folder = tiny / 'train' / TINY[1] / 'images'
    good = sorted(folder.iterdir())
    good[0].write_bytes(b'')
    good[1].write_bytes(good[1].read_bytes()[:-30])
    good[2].write_text('not an image at all')
    samples.write_image(good[3], samples.random_image(np.random.RandomState(0), 32, 64))
    (tiny / 'train' / 'n09999999' / 'images').mkdir(parents=True)
    shutil.copy(good[4], tiny / 'train' / 'n09999999' / 'images' / 'other.JPEG')
    (tiny / 'val' / 'images' / 'val_0.JPEG').unlink()
    shutil.copy(good[4], tiny / 'val' / 'images' / 'extra.JPEG')
    annotations = tiny / 'val' / 'val_annotations.txt'
    annotations.write_text(
        annotations.read_text().replace(f'val_4.JPEG\t{TINY[1]}', 'val_4.JPEG\tn12345678')
    )
    code, _, err = prepare('tiny_imagenet', tiny)
    assert code == 2 and nothing_left(tmp_path, 'tiny_imagenet')
    expected = {
        good[0]: 'empty file',
        good[1]: 'truncated',
        good[2]: 'not an image that can be decoded',
        good[3]: '64x32 pixels instead of 64x64',
        tiny / 'train/n09999999/images/other.JPEG': (
            "its class 'n09999999' is not in the list of classes"
        ),
        tiny / 'val/images/val_0.JPEG': 'listed in val_annotations.txt, but missing',
        tiny / 'val/images/extra.JPEG': 'without a label in val_annotations.txt',
        tiny / 'val/images/val_4.JPEG': "its class 'n12345678' is not in the list of classes",
    }
    assert sorted(err[:-1]) == sorted(
        f'bad file: {path}: {reason}' for path, reason in expected.items()
    )
    assert err[-1].startswith('error: 8 bad files')
    code, out, _ = prepare('tiny_imagenet', tiny, '--skip_bad')
    assert code == 0 and out.count('left out:') == 8
    assert 'train: 15 images, 3 classes of 2 to 7' in out and 'validation: 7 images' in out


def test_class_without_images(prepare, tmp_path, tiny):
    shutil.rmtree(tiny / 'train' / TINY[0])
    code, _, err = prepare('tiny_imagenet', tiny)
    assert code == 2 and f'train/{TINY[0]}: no images of this class' in err[0]
    folder = samples.write_folder(tmp_path / 'tree', ('cat', 'dog'))
    (folder / 'train' / 'eel').mkdir()
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and err[0].endswith('train/eel: no images of this class') and len(err) == 2
    code, out, _ = prepare('image_folder', folder, '--skip_bad')
    assert code == 0 and 'train: 12 images, 2 classes of 6' in out


@pytest.mark.parametrize('suffix', ['.jpg', '.png'])
def test_image_folder_of_different_sizes(prepare, tmp_path, suffix):
    folder = tmp_path / 'tree'
    samples.write_folder(folder, ('cat', 'dog'), size=(50, 70), suffix=suffix, held_out='test')
    samples.write_folder(folder, ('cow',), size=(90, 60), suffix=suffix, held_out='test')
    (folder / 'train' / 'cat' / 'readme.txt').write_text('no image')
    code, out, err = prepare('image_folder', folder)
    assert (code, err) == (0, []) and 'train: 18 images, 3 classes of 6' in out
    with pytest.raises(ValueError, match='different sizes: choose a short side'):
        data.load('image_folder', str(tmp_path / 'data'))
    result = data.load('image_folder', str(tmp_path / 'data'), short_side=32)
    assert result.class_names == ('cat', 'cow', 'dog') and result.test.x.shape == (9, 32, 32, 3)
    originals = [
        images.decode(file.read_bytes(), 3) for file in (folder / 'train' / 'cow').iterdir()
    ]
    squares = {images.square(image, 32, offset=0.5).tobytes() for image in originals}
    assert by_class(result.train)[1] == squares


def test_image_folder_with_another_class_held_out(prepare, tmp_path):
    folder = samples.write_folder(tmp_path / 'tree', ('cat',), val=1)
    samples.write_image(
        folder / 'val' / 'dog' / 'a.png', samples.random_image(np.random.RandomState(0))
    )
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and err[0].endswith(
        "val/dog/a.png: its class 'dog' is not in the list of classes"
    )


def test_imagenet100_takes_the_listed_classes(prepare, tmp_path):
    text = tmp_path / 'list.txt'
    text.write_text('# mine\nn02\nn01\n\n')
    folder = samples.write_folder(tmp_path / 'ILSVRC', ('n01', 'n02', 'n03'), size=(40, 56))
    code, out, err = prepare('imagenet100', folder, f'--classes={text}')
    assert (code, err) == (0, []) and 'train: 12 images, 2 classes of 6' in out
    result = data.load('imagenet100', str(tmp_path / 'data'), short_side=40)
    assert result.class_names == ('n01', 'n02') and len(result.test.y) == 6


def test_imagenet100_needs_all_hundred(prepare, tmp_path):
    folder = samples.write_folder(tmp_path / 'ILSVRC', ('n02869837', 'n01749939'))
    code, _, err = prepare('imagenet100', folder)
    assert (
        code == 2 and len(err) == 99 and all('no images of this class' in line for line in err[:98])
    )


def test_imagenet2012_in_its_usual_folders(prepare, tmp_path):
    """All 1,000 class folders, the validation images in one folder, labelled by TFDS's list."""
    root = tmp_path / 'ILSVRC' / 'Data' / 'CLS-LOC'
    wnids = folders._tfds_lines('labels.txt')
    assert len(wnids) == 1000 and wnids == sorted(wnids)
    samples.write_image(
        tmp_path / 'one.JPEG', samples.random_image(np.random.RandomState(0), 20, 30)
    )
    for wnid in wnids:
        (root / 'train' / wnid).mkdir(parents=True)
        shutil.copy(tmp_path / 'one.JPEG', root / 'train' / wnid / f'{wnid}_1.JPEG')
    (root / 'val').mkdir()
    numbers = (1, 2, 50000)
    for number in numbers:
        shutil.copy(tmp_path / 'one.JPEG', root / 'val' / f'ILSVRC2012_val_{number:08d}.JPEG')
    code, out, err = prepare('imagenet2012', tmp_path / 'ILSVRC')
    assert (code, err) == (0, []) and 'train: 1,000 images, 1000 classes of 1' in out
    result = data.load('imagenet2012', str(tmp_path / 'data'), short_side=16)
    labels = folders._tfds_lines('validation_labels.txt')
    assert sorted(result.class_names[y] for y in result.test.y) == sorted(
        labels[n - 1] for n in numbers
    )


def test_the_list_of_hundred_classes_belongs_to_imagenet():
    lines = (
        (folders.resources.files('mi_ssl_jax.data') / 'imagenet100.txt').read_text().splitlines()
    )
    listed = [line for line in lines if not line.startswith('#')]
    assert len(listed) == len(set(listed)) == 100 and set(listed) <= set(
        folders._tfds_lines('labels.txt')
    )


@pytest.mark.parametrize('member', ['../x.JPEG', '/etc/x.JPEG', 'train/../../x.JPEG', '..\\x.JPEG'])
def test_archive_members_may_not_leave_their_folder(prepare, tmp_path, member):
    with zipfile.ZipFile(tmp_path / 'a.zip', 'w') as file:
        file.writestr('train/cat/a.JPEG', b'x')
        file.writestr(member, b'x')
    samples.write_tar(tmp_path / 'a.tar.gz', {member: b'x'}, prefix='')
    for source in ('a.zip', 'a.tar.gz'):
        code, _, err = prepare('image_folder', tmp_path / source)
        assert code == 2 and len(err) == 1 and 'leaves the archive' in err[0]


def test_damaged_archives(prepare, tmp_path, tiny):
    whole = tmp_path / 'tiny.zip'
    shutil.make_archive(str(tmp_path / 'tiny'), 'zip', tmp_path, tiny.name)
    contents = whole.read_bytes()
    whole.write_bytes(contents[: len(contents) // 2])
    code, _, err = prepare('tiny_imagenet', whole)
    assert code == 2 and len(err) == 1 and 'neither a folder nor a zip or tar archive' in err[0]
    name = f'tiny-imagenet-200/train/{TINY[0]}/images/{TINY[0]}_train_0.JPEG'.encode()
    start = contents.index(name) + len(name) + 200  # inside the compressed pixels of that member
    whole.write_bytes(contents[:start] + b'\0' * 8 + contents[start + 8 :])
    code, _, err = prepare('tiny_imagenet', whole)
    assert code == 2 and len(err) == 2 and f'{TINY[0]}_train_0.JPEG' in err[0]
    files, _ = samples.cifar_files('cifar10')
    source = samples.write_tar(tmp_path / 'c.tar.gz', files)
    source.write_bytes(source.read_bytes()[:20_000])
    code, _, err = prepare('cifar10', source)
    assert code == 2 and len(err) == 1 and 'cannot read' in err[0]


@pytest.mark.parametrize(
    'arguments,message',
    [
        (('cifar11',), "unknown data set 'cifar11': known are arrays, cifar10, "),
        (('image_folder',), 'give their folder by --source=PATH'),
        (('image_folder', '/nowhere/at/all'), '/nowhere/at/all does not exist'),
        (('cifar10', '/dev/null'), 'is neither a folder nor'),
        (('cifar10', None, '--classes=x'), '--classes is for imagenet100'),
    ],
)
def test_one_line_for_each_mistake(prepare, arguments, message):
    code, out, err = prepare(*arguments)
    assert (code, out, len(err)) == (2, '', 1) and message in err[0]


def test_folder_without_train_or_held_out(prepare, tmp_path):
    (tmp_path / 'empty').mkdir()
    assert 'has no folder train/' in prepare('image_folder', tmp_path / 'empty')[2][0]
    samples.write_folder(tmp_path / 'half', ('cat',), val=0)
    assert 'but no held-out images' in prepare('image_folder', tmp_path / 'half')[2][0]
    code, _, err = prepare('imagenet100', tmp_path / 'half', '--classes=/nowhere.txt')
    assert code == 2 and 'cannot read the class list /nowhere.txt' in err[0]


def test_prepared_already(prepare, tmp_path):
    folder = samples.write_folder(tmp_path / 'tree', ('cat', 'dog'))
    assert prepare('image_folder', folder)[0] == 0
    code, out, _ = prepare('image_folder', folder)
    assert code == 0 and 'is prepared already' in out
    info = tmp_path / 'data' / 'image_folder' / '1.0.0' / 'dataset_info.json'
    info.write_text(info.read_text().replace('array_record', 'tfrecord'))
    code, _, err = prepare('image_folder', folder)
    assert code == 2 and 'is there, but cannot be used' in err[0]


def test_disk_too_small(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=5_000_000_000)
    monkeypatch.setattr(plan.shutil, 'disk_usage', lambda path: usage)
    plan.check_space(tmp_path / 'not' / 'yet', 4_000_000_000)
    with pytest.raises(ValueError, match=r'has 5\.0 GB free, and 6\.0 GB are needed'):
        plan.check_space(tmp_path / 'not' / 'yet', 6_000_000_000)


def test_download_checks_the_sum_and_keeps_nothing_wrong(tmp_path):
    (tmp_path / 'archive.bin').write_bytes(b'contents')
    url, good = (tmp_path / 'archive.bin').as_uri(), hashlib.sha256(b'contents').hexdigest()
    folder = tmp_path / 'downloads'
    with pytest.raises(ValueError, match='not arrive as the official file'):
        archive.download(url, '0' * 64, folder)
    assert list(folder.iterdir()) == []
    assert archive.download(url, good, folder).read_bytes() == b'contents'
    (tmp_path / 'archive.bin').unlink()
    assert archive.download(url, good, folder).read_bytes() == b'contents'  # from the copy
    with pytest.raises(ValueError, match=r'cannot download .* give a copy by --source'):
        archive.download((tmp_path / 'absent').as_uri(), good, folder)


def test_an_interrupt_that_a_library_turns_into_an_error_is_told_as_one(monkeypatch, capsys):
    def work(given):
        try:
            signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt as error:
            raise RuntimeError('Error while closing the writer') from error

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    monkeypatch.setattr(command, '_prepare', work)
    try:
        assert command.main(['cifar10']) == 130
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err.startswith('interrupted: nothing was written')


@pytest.mark.parametrize(
    'number,code', [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)]
)
def test_interrupt_and_clean_restart(prepare, tmp_path, number, code):
    folder = samples.write_folder(tmp_path / 'tree', ('cat', 'dog'), train=40)
    slow = (
        'import sys, time; from mi_ssl_jax.data import images, prepare; real = images.checked_rgb\n'
        'def late(*a, **k):\n    time.sleep(0.1)\n    return real(*a, **k)\n'
        'images.checked_rgb = late; sys.exit(prepare.main(sys.argv[1:]))'
    )
    home = tmp_path / 'data' / 'image_folder'
    process = subprocess.Popen(
        [
            sys.executable,
            '-c',
            slow,
            'image_folder',
            f'--data_dir={tmp_path / "data"}',
            f'--source={folder}',
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(home.glob('incomplete.*/*')) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    error = process.communicate(timeout=30)[1]
    assert process.returncode == code, error
    if number != signal.SIGKILL:
        assert nothing_left(tmp_path, 'image_folder') and error.startswith(
            'interrupted: nothing was written'
        )
    assert prepare('image_folder', folder)[0] == 0
    assert sorted(path.name for path in home.iterdir()) == ['.lock', '1.0.0']


@pytest.mark.parametrize(
    'arguments, message',
    [
        ([], 'the following arguments are required: name'),
        (['image_folder', 'more'], 'unrecognized arguments: more'),
        (['image_folder', '--source'], '--source: expected one argument'),
        (['image_folder', '--source='], '--source= names nothing'),
        (['image_folder', '--sourc=x'], 'unrecognized arguments: --sourc=x'),
    ],
)
def test_wrong_arguments_are_one_line(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        command.main(arguments)
    error = capsys.readouterr().err
    assert end.value.code == 2 and message in error and error.count('\n') == 1
