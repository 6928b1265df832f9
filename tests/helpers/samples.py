"""Small source archives and folders in the layouts of the real data sets."""

import io
import tarfile

import cv2
import numpy as np


def write_image(path, image):
    """`image`, (H, W, 3) or (H, W) uint8, in the format that the suffix of `path` names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image[..., ::-1] if image.ndim == 3 else image)


def random_image(random, height=64, width=64):
    coarse = random.randint(0, 256, (4, 4, 3)).astype(np.uint8)
    return cv2.resize(coarse, (width, height), interpolation=cv2.INTER_LINEAR)


def write_folder(root, classes, *, train=6, val=3, size=(64, 64), held_out='val', suffix='.JPEG'):
    """train/CLASS/*, val/CLASS/* with the given number of images a class."""
    random = np.random.RandomState(0)
    for split, count in (('train', train), (held_out, val)):
        for name in classes:
            for i in range(count):
                write_image(
                    root / split / name / f'{name}_{split}_{i}{suffix}', random_image(random, *size)
                )
    return root


def cifar_files(name, *, per_file=20, label=None):
    """Contents of a small binary CIFAR archive by file name, and (images, labels) of its train and
    test."""
    random = np.random.RandomState(1)
    train = [f'data_batch_{i}.bin' for i in range(1, 6)] if name == 'cifar10' else ['train.bin']
    test = ['test_batch.bin'] if name == 'cifar10' else ['test.bin']
    classes = 10 if name == 'cifar10' else 100
    files, stored = {}, {'train': ([], []), 'test': ([], [])}
    for split, names in (('train', train), ('test', test)):
        for file in names:
            pixels = random.randint(0, 256, (per_file, 3, 32, 32)).astype(np.uint8)
            labels = random.randint(0, classes, (per_file, 1)).astype(np.uint8)
            coarse = random.randint(0, 20, (per_file, 1)).astype(np.uint8)
            head = [labels] if name == 'cifar10' else [coarse, labels]
            files[file] = np.concatenate([*head, pixels.reshape(per_file, -1)], axis=1).tobytes()
            stored[split][0].append(pixels.transpose(0, 2, 3, 1))
            stored[split][1].append(labels[:, 0])
    names_file = 'batches.meta.txt' if name == 'cifar10' else 'fine_label_names.txt'
    files[names_file] = '\n'.join(f'class{i}' for i in range(classes)).encode() + b'\n\n'
    return files, {split: tuple(map(np.concatenate, parts)) for split, parts in stored.items()}


def write_tar(path, files, prefix='cifar/'):
    with tarfile.open(path, 'w:gz') as archive:
        for name, contents in files.items():
            member = tarfile.TarInfo(prefix + name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    return path
