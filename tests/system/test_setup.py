"""The project's own description: versions agree, the locks are complete and checked, set-up repairs
and explains itself."""

import os
import pathlib
import re
import shutil
import subprocess
import tomllib

import pytest

import mi_ssl_jax

ROOT = pathlib.Path(__file__).parents[2]
LOCKS = sorted((ROOT / 'launch' / 'lock').glob('py3*.txt'))
SETTINGS = tomllib.loads((ROOT / 'pyproject.toml').read_text())
PROJECT = SETTINGS['project']


def normal(requirement: str) -> str:
    """'ml_collections>=1.0' -> 'ml-collections', the spelling of locks."""
    return re.split(r'[\s\[<>=~!;]', requirement)[0].lower().replace('_', '-')


def pins(lock: pathlib.Path) -> dict[str, str]:
    return dict(re.findall(r'^([a-z0-9.-]+)==(\S+)', lock.read_text(), re.MULTILINE))


def test_one_version():
    """The package holds the version; the build reads it there, and the citation agrees."""
    citation = (ROOT / 'CITATION.cff').read_text()
    assert PROJECT['dynamic'] == ['version'] and 'version' not in PROJECT
    assert SETTINGS['tool']['hatch']['version']['path'] == 'mi_ssl_jax/__init__.py'
    assert re.search(r'^version: (.*)$', citation, re.MULTILINE).group(1) == mi_ssl_jax.__version__


def test_the_pythons_it_names_are_those_it_is_locked_for():
    named = {entry.rpartition(' ')[2] for entry in PROJECT['classifiers'] if '3.' in entry}
    assert {'py' + version.replace('.', '') for version in named} == {lock.stem for lock in LOCKS}


def test_there_is_a_lock_for_each_supported_python():
    assert [lock.stem for lock in LOCKS] == ['py311', 'py312', 'py313']


@pytest.mark.parametrize('lock', LOCKS, ids=lambda lock: lock.stem)
def test_lock_holds_every_requirement(lock):
    wanted = PROJECT['dependencies'] + PROJECT['optional-dependencies']['dev']
    assert {normal(requirement) for requirement in wanted} - pins(lock).keys() == set()
    assert re.match(r'0\.1[01]\.', pins(lock)['jax']), 'the library supports jax 0.10 and 0.11'


@pytest.mark.parametrize(
    'lock', [*LOCKS, ROOT / 'launch' / 'lock' / 'build.txt'], ids=lambda lock: lock.stem
)
def test_lock_is_hash_checked_and_names_no_index(lock):
    text = lock.read_text()
    entries = re.split(r'\n(?=[a-z0-9])', text)[1:]
    assert len(entries) == len(pins(lock)), 'a line of the lock is not a pinned version'
    assert [entry.split('==')[0] for entry in entries if '--hash=sha256:' not in entry] == []
    assert not re.search(r'://|--(extra-)?index-url|--find-links|--trusted-host', text)


def test_locks_agree_with_the_build_lock():
    build = pins(ROOT / 'launch' / 'lock' / 'build.txt')
    assert build.keys() >= {'hatchling', 'editables', 'setuptools'}
    for lock in LOCKS:
        assert {
            name: version
            for name, version in pins(lock).items()
            if build.get(name, version) != version
        } == {}


# launch/setup.sh, with an interpreter that only says what it is asked to do
# -------------------------------------

FAKE_PYTHON = """#!/bin/sh
case "$*" in
  *version_info*) echo "${FAKE_TAG:-py311}" ;;
  *ensurepip*) exit "${FAKE_NO_VENV:-0}" ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python; echo venv >>calls ;;
  "-m pip "*) echo "pip $*" >>calls; echo "$FAKE_PIP"; test -z "$FAKE_PIP" ;;
esac
"""


@pytest.fixture
def project(tmp_path):
    """A copy of what set-up reads, and a way to run it: set_up(**environment) -> (exit code, stderr
    lines, calls)."""
    shutil.copytree(ROOT / 'launch', tmp_path / 'launch')
    shutil.copy(ROOT / 'pyproject.toml', tmp_path)
    python = tmp_path / 'fake-python'
    python.write_text(FAKE_PYTHON)
    python.chmod(0o755)

    def set_up(**environment):
        calls = tmp_path / 'calls'
        calls.write_text('')
        result = subprocess.run(
            ['bash', 'launch/setup.sh'],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={'PATH': os.environ['PATH'], 'PYTHON': str(python)} | environment,
        )
        return result.returncode, result.stderr.splitlines(), calls.read_text().splitlines()

    set_up.root = tmp_path
    return set_up


def test_set_up_installs_from_the_locks_by_hash_and_only_once(project):
    code, _, calls = project()
    assert code == 0
    assert calls[0] == 'venv'
    assert ['--require-hashes' in call for call in calls[1:]] == [True, True, False]
    assert all('--no-deps' in call and '--no-build-isolation' in call for call in calls[1:])
    assert [call.split()[-1] for call in calls[1:]] == [
        'launch/lock/build.txt',
        'launch/lock/py311.txt',
        '.',
    ]
    assert project() == (0, [], [])


def test_set_up_notices_a_changed_project(project):
    project()
    with open(project.root / 'pyproject.toml', 'a') as file:
        file.write('# changed\n')
    assert project()[2][0] == 'venv'


def test_set_up_makes_the_environment_again_for_another_python(project):
    project()
    assert project(FAKE_TAG='py312')[2][2].endswith('launch/lock/py312.txt')


def test_set_up_repairs_what_it_left_half_finished(project):
    assert project(FAKE_PIP='ERROR: killed')[0] == 1
    (project.root / '.venv' / 'leftover').touch()
    assert project()[0] == 0
    assert not (project.root / '.venv' / 'leftover').exists()


@pytest.mark.parametrize(
    'environment, words',
    [
        ({'PYTHON': 'no-such-python'}, 'no-such-python was not found'),
        ({'FAKE_TAG': 'py39'}, 'is Python 3.9, for which launch/lock has no lock'),
        ({'FAKE_NO_VENV': '1'}, 'python3.11-venv'),
    ],
)
def test_set_up_says_in_one_line_which_python_it_lacks(project, environment, words):
    code, lines, calls = project(**environment)
    assert (code, len(lines), calls) == (1, 1, [])
    assert words in lines[0]


@pytest.mark.parametrize(
    'pip, words',
    [
        ('ERROR: No matching distribution found for jax==0.10.2', 'is the network down?'),
        ('OSError: [Errno 28] No space left on device', 'the disk is full'),
        ('ERROR: THESE PACKAGES DO NOT MATCH THE HASHES', 'DO NOT MATCH THE HASHES'),
        ('words that nobody foresaw', 'words that nobody foresaw'),
    ],
)
def test_set_up_says_in_one_line_why_it_could_not_install(project, pip, words):
    code, lines, _ = project(FAKE_PIP=pip)
    assert (code, len(lines)) == (1, 2)  # what it was doing, and what went wrong
    assert words in lines[1]
