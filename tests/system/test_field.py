"""Cases met in the field, a script each, in the folder that MI_SSL_FIELD names."""

import os
import pathlib
import re
import subprocess
import sys

import pytest

from tests.helpers import subprocesses

ROOT = pathlib.Path(__file__).parents[2]
FIELD = os.environ.get('MI_SSL_FIELD')
REASON = 'MI_SSL_FIELD does not name the folder of cases met in the field'

# Name: what its output must hold, in this order, and what it must not. {cases} is the folder.
EXPECTED = {
    'broken_pipe': ['rc 0', 'config.json', 'metrics.jsonl', 'report.md'],
    'damaged_decoded_copy': [
        r'\(8, 16, 16, 3\)',
        r'is damaged .*: decoding anew',
        r'\(8, 16, 16, 3\)',
        r'is damaged .*: decoding anew',
        r'\(8, 16, 16, 3\)',
    ],
    'damaged_header': [r'bad file: .*/x\.jpg: ', 'rc 2', r'left out: .*/x\.jpg', 'rc 0'],
    'features_float32_overflow': ['features are not all finite as float32', 'rc 2', 'rc 2'],
    'gigapixel': [r'bad file: .*/big\.png: ', 'rc 2', r'left out: .*/big\.png', 'rc 0'],
    'graph_masks_ignored': ['30 training nodes; .*as train_mask and test_mask say', 'rc 0'],
    'huge_values': [r'I\(x; y\) +0\.[4-9]', 'rc 0'],
    'jupyter_class': ['train: 8 images, 2 classes of 4', 'rc 0'],
    'labels_minus1': [r'10 nodes have no label \(-1\)', 'rc 0'],
    'one_class': ['rc 0', 'has one class: probes and figures of classes are left out', 'rc 0'],
    'prepared_from_other': ['was prepared from another source', 'rc 2'],
    'probe_labels_late': [
        "'1%' is 2 labelled examples, and a linear probe needs 5",
        'rc 2',
        'cannot choose 10 examples of class 0: it has 4',
        'rc 2',
        "unknown probe.labels 'al'.*did you mean 'all'",
        'rc 2',
    ],
    'sbatch_spaces': [
        r'#SBATCH --output="/.*my folder/.*"',
        r'#SBATCH --output="/.*my folder/.*"',
        '#SBATCH --comment="a b"',
    ],
    'tar_damaged': [r'error: cannot read .*x\.tar: .*damaged', 'rc 2'],
    'tar_dot_prefix': ['train: 8 images, 2 classes of 4', 'rc 0'],
    'trailing_space_class': ["bad file: .*class name 'cat '", 'rc 2'],
    'unreadable_folder': ['bad file: .*/val/dog: Permission denied', 'rc 2'],
    'zip_errors': [
        'encrypted: unpack it',
        'rc 2',
        'Deflate64.*: unpack it',
        'rc 2',
        '1 bad file',
        'rc 2',
    ],
}
# Cases that are held to elsewhere: their scripts name modules by an old path, or take an
# installed package for a bare one.
ELSEWHERE = {
    'encoder_without_data': 'runs/test_elsewhere.py',
    'sweep_elsewhere': 'sweep/test_plan.py',
}
UNTRAINED = {'probe_labels_late'}  # what is refused before the first step prints no epoch
LATER = {'trailing_space_class'}  # its last line asks for the set that was refused


@pytest.fixture(scope='module')
def cases():
    if not FIELD:
        pytest.skip(REASON)
    return pathlib.Path(FIELD) / 'cases'


@pytest.mark.slow
def test_every_case_is_known(cases):
    found = {path.parent.name for path in cases.glob('*/run.sh')}
    assert found == set(EXPECTED) | set(ELSEWHERE)
    assert all((ROOT / 'tests' / path).exists() for path in ELSEWHERE.values())


@pytest.mark.slow
@pytest.mark.parametrize('name', EXPECTED)
def test_a_case_prints_what_it_expects(name, cases, tmp_path):
    command = ['bash', str(cases / name / 'run.sh')]
    if name == 'unreadable_folder' and os.geteuid() == 0:  # whom no permission stops
        command = ['setpriv', '--bounding-set', '-dac_override,-dac_read_search', *command]
    done = subprocess.run(
        command,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=subprocesses.environment(
            PYTHON=sys.executable, TMPDIR=str(tmp_path), TFDS_DATA_DIR=str(tmp_path / 'tfds')
        ),
    )
    assert re.search('.*'.join(f'(?:{line})' for line in EXPECTED[name]), done.stdout, re.S), (
        done.stdout
    )
    assert name in LATER or 'Traceback' not in done.stdout
    assert name not in UNTRAINED or 'epoch' not in done.stdout
