"""Fine-tuning a run's encoder: what is written, going on after an interruption, other data."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mi_ssl_jax import finetune
from mi_ssl_jax.data import prepare
from mi_ssl_jax.figures import finetuned
from mi_ssl_jax.runs import finetuning, labelled, run, signals, transfer
from tests.helpers import subprocesses, tiny
from tests.runs import test_encoders

FEW = finetuning.Settings(seeds=2, epochs=3, batch_size=16)


@pytest.fixture(scope='module', autouse=True)
def quick_compilation():
    with tiny.quick_compilation():
        yield


def config():
    """Two seeds on 64 digits, a network that compiles soon."""
    found = test_encoders.config()
    found.net.name, found.net.options.mlp = 'mlp', {'widths': (16, 8)}
    return found


@pytest.fixture(scope='module')
def workdir(tmp_path_factory, own_data_dir):
    """A run of two seeds on 64 digits, and another set of digits of three classes."""
    folder = tmp_path_factory.mktemp('run')
    run.run(config(), folder)
    from sklearn import datasets

    bunch = datasets.load_digits()
    few = bunch.target < 3
    images = (bunch.images[few] * 15).astype(np.uint8)[..., None]
    np.savez(folder / 'three.npz', x=images, y=bunch.target[few])
    arguments = [
        'arrays',
        '--as=three',
        f'--source={folder}/three.npz',
        f'--data_dir={own_data_dir}',
    ]
    prepare.main(arguments)
    return folder


def task(workdir, **changes):
    encoder = transfer.of_run(workdir)
    return transfer.prepare(encoder, transfer.on_data(encoder.config, changes))


def finetuned_in(folder, workdir, labels='2 a class', settings=FEW, **changes):
    return finetuning.finetune(task(workdir, **changes), labels, settings, folder, say=print)


def test_results_hold_both_starts_seed_by_seed(workdir, tmp_path, capsys):
    found = finetuned_in(tmp_path / 'out', workdir)
    assert found == finetuned.result(tmp_path / 'out' / 'result.json')
    assert [row['start'] for row in found['rows']] == ['pretrained', 'scratch']
    for row in found['rows']:
        assert len(row['seeds']) == len(row['top5']) == 2
        assert all(0 <= a <= b <= 100 for a, b in zip(row['seeds'], row['top5']))
        assert row['labelled'][0] != row['labelled'][1]  # each seed has its own draw
    pretrained, scratch = found['rows']
    assert pretrained['labelled'] == scratch['labelled']  # the same for both
    assert '0.005 (backbone) and 20' in pretrained['protocol']  # 20 of 64 examples
    assert '0.00' in scratch['protocol'] and 'standardised' not in scratch['protocol']
    lines = (tmp_path / 'out' / 'labels-0.txt').read_text().split()
    assert len(lines) == 20 and not (tmp_path / 'out' / 'checkpoints' / 'scratch-1').exists()
    assert 'digits, 2 a class, scratch, seed 1: ' in capsys.readouterr().out
    # The file that was written is a choice of labels itself.
    own = labelled.choose(
        str(tmp_path / 'out' / 'labels-0.txt'), task(workdir).source, None, draw=0
    )
    assert own.digest == pretrained['labelled'][0]


def test_a_second_call_does_nothing_and_more_seeds_extend_it(workdir, tmp_path, monkeypatch):
    one = finetuned_in(tmp_path, workdir, settings=FEW._replace(seeds=1))
    two = finetuned_in(tmp_path, workdir)
    for before, after in zip(one['rows'], two['rows'], strict=True):
        assert after['seeds'][0] == before['seeds'][0] and len(after['seeds']) == 2
    monkeypatch.setattr(finetuning, '_train', lambda *args: pytest.fail('it trains again'))
    assert finetuned_in(tmp_path, workdir) == two


def test_other_settings_are_refused(workdir, tmp_path):
    finetuned_in(tmp_path, workdir, settings=FEW._replace(seeds=1))
    with pytest.raises(ValueError, match=r'epochs \(3 there, 4 here\); choose another folder'):
        finetuned_in(tmp_path, workdir, settings=FEW._replace(epochs=4))


def test_interrupted_fine_tuning_goes_on_to_the_same_bits(workdir, tmp_path, monkeypatch):
    whole = finetuned_in(tmp_path / 'whole', workdir)
    compile_programs, taken = finetuning.finetuning.compile_programs, []

    def interrupting(*args, **kwargs):
        programs = compile_programs(*args, **kwargs)

        def step(*arguments):
            taken.append(None)
            if len(taken) in (2, 9):  # in the first of the pretrained, then in the second
                signal.raise_signal(signal.SIGTERM)
            return programs.step(*arguments)

        return programs._replace(step=step)

    monkeypatch.setattr(finetuning.finetuning, 'compile_programs', interrupting)
    for _ in range(2):
        with pytest.raises(signals.Interrupted, match='SIGTERM at step . of 6'):
            finetuned_in(tmp_path / 'parts', workdir)
    parts = finetuned_in(tmp_path / 'parts', workdir)
    assert len(taken) == 24 and parts == whole


def test_an_encoder_moves_to_other_data(workdir, tmp_path):
    settings = FEW._replace(seeds=1, epochs=60, scratch_lr=0.1)
    changes = {'data.name': 'three'}
    found = finetuned_in(tmp_path, workdir, labels='10 a class', settings=settings, **changes)
    assert found['settings']['data'] == 'three' and found['settings']['limit'] == 0
    # Three classes, one in three by chance.
    assert all(row['seeds'][0] > 60 for row in found['rows']), found['rows']


def test_weights_begin_as_the_run_that_they_are_of(workdir, tmp_path):
    settings = FEW._replace(seeds=1)
    encoder = transfer.of_weights(workdir, None, say=print)
    own = transfer.prepare(encoder, transfer.on_data(encoder.config, {}))
    found = finetuning.finetune(own, '2 a class', settings, tmp_path / 'weights', say=print)
    expected = finetuned_in(tmp_path / 'run', workdir, settings=settings)
    assert found['rows'] == expected['rows'] and found['settings'] != expected['settings']
    with pytest.raises(ValueError, match='give FILE.safetensors|is not there|is no run'):
        transfer.of_weights(tmp_path / 'none.safetensors', own.config, say=print)


def test_data_that_the_encoder_cannot_take_are_one_line(workdir):
    with pytest.raises(
        ValueError, match=r'gaussian holds float32 \(2,\), but .* was trained on uint8'
    ):
        task(workdir, **{'data.name': 'gaussian'})
    with pytest.raises(ValueError, match="no branch 'xi': the run has theta"):
        transfer.of_run(workdir, branch='xi')


@pytest.mark.parametrize(
    'text, message',
    [
        ('', 'lists no examples'),
        ('1\n1\n', 'lists examples twice'),
        ('1\n64\n', 'lists example 64, but digits has 64'),
        ('a.png\n', 'does not name its examples'),
    ],
)
def test_a_list_that_cannot_be_is_refused(workdir, tmp_path, text, message):
    (tmp_path / 'few.txt').write_text(text)
    own = task(workdir)
    with pytest.raises(ValueError, match=message):
        labelled.choose(f'{tmp_path}/few.txt', own.source, own.config, draw=0)


def test_names_of_files_choose_examples(workdir, tmp_path, monkeypatch):
    own = task(workdir)
    names = np.array([f'class{index % 3}/image{index}.png' for index in range(own.source.size)])
    monkeypatch.setattr(labelled.inputs, 'example_names', lambda *args: names)
    (tmp_path / 'few.txt').write_text('image7.png\nclass0/image3.png\n')
    found = labelled.choose(f'{tmp_path}/few.txt', own.source, own.config, draw=0)
    np.testing.assert_array_equal(found.indices, [3, 7])
    np.testing.assert_array_equal(found.examples.x, own.source.train.x[[3, 7]])


def command(monkeypatch, *arguments):
    monkeypatch.setattr(sys, 'argv', ['finetune', *map(str, arguments)])
    return finetune.main()


def test_the_command_writes_the_runs_report(workdir, monkeypatch, capsys):
    arguments = ['--epochs=2', '--batch_size=16', '--labels=2 a class,all']
    assert command(monkeypatch, f'--workdir={workdir}', *arguments) == 0
    folders = sorted(path.name for path in (workdir / 'finetune').iterdir())
    assert folders == ['digits_2-a-class', 'digits_all']
    text = (workdir / 'report.md').read_text()
    assert '## Fine-tuning' in text and '| digits | 2 a class |' in text
    assert '- random weights, all: SGD, momentum 0.9' in text
    assert '  gain' in capsys.readouterr().out


@pytest.mark.parametrize(
    'arguments, message',
    [
        (['--labels=10 a clas'], "unknown --labels '10 a clas'"),
        (['--seeds=0'], '--seeds=0 must be at least 1'),
        (['--head_lr=-1'], '--head_lr=-1.0 must be at least 0'),
        (['--data.limit=few'], "--data.limit='few' must be a whole number"),
        (['--data.streamed=no'], "--data.streamed='no' must be True or False"),
        (['--config=configs/jmi_digits.py'], '--config goes with --weights'),
        (['--weights=a.safetensors'], 'not allowed with argument'),
    ],
)
def test_bad_arguments_are_one_line(workdir, monkeypatch, capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        command(monkeypatch, f'--workdir={workdir}', *arguments)
    assert stop.value.code == 2 and message in capsys.readouterr().err


def test_a_damaged_result_is_named(workdir, tmp_path):
    finetuned_in(tmp_path, workdir, settings=FEW._replace(seeds=1))
    path = tmp_path / 'result.json'
    path.write_text(path.read_text().replace('"rows"', '"row"'))
    with pytest.raises(ValueError, match='is damaged: remove .* makes it anew'):
        finetuned_in(tmp_path, workdir)


@pytest.mark.slow
def test_killed_again_and_again_it_ends_with_the_same_numbers(workdir, tmp_path):
    """SIGKILL at growing times after the start, checkpoints at every look at the loss."""
    code = (
        'import sys; from pathlib import Path\n'
        'from mi_ssl_jax.runs import finetuning as f, transfer\n'
        'f.SAVE_SECONDS, f.CHUNK = 0.0, 2\n'
        'e = transfer.of_run(Path(sys.argv[1]))\n'
        't = transfer.prepare(e, transfer.on_data(e.config, {}))\n'
        's = f.Settings(seeds=1, epochs=30, batch_size=16)\n'
        'f.finetune(t, "2 a class", s, Path(sys.argv[2]), say=print)\n'
    )

    def started(folder):
        return subprocess.Popen(
            [sys.executable, '-c', code, str(workdir), str(folder)],
            env=subprocesses.environment(JAX_PLATFORMS='cpu'),
            stdout=subprocess.DEVNULL,
        )

    assert started(tmp_path / 'whole').wait() == 0
    seen = set()
    for number in range(40):
        process = started(tmp_path / 'parts')
        scratch = tmp_path / 'parts' / 'checkpoints'
        start = time.monotonic()
        before = {*scratch.glob('*/*/manifest.json')}
        while process.poll() is None and {*scratch.glob('*/*/manifest.json')} <= before:
            assert time.monotonic() - start < 120
            time.sleep(0.02)
        if process.poll() is not None:
            break
        time.sleep(0.1 * (number % 4))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        seen |= {path.parent.name for path in scratch.glob('*/*/manifest.json')}
        if number == 5:
            assert started(tmp_path / 'parts').wait() == 0
            break
    assert seen
    whole, parts = (
        json.loads((tmp_path / name / 'result.json').read_text()) for name in ('whole', 'parts')
    )
    assert whole == parts
