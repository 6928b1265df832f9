"""What a search runs, in which programs and where; its stages and its table. Nothing is trained
here."""

import csv
import itertools
import json
import pathlib
import sys

import pytest

from configs import jmi_digits, sweep_cifar, sweep_digits
from mi_ssl_jax.cli import guard
from mi_ssl_jax.figures import tables
from mi_ssl_jax.sweep import __main__ as sweep_command
from mi_ssl_jax.sweep import plan, results, slurm_array, stages
from tests.helpers import searches

PAPER = json.loads((pathlib.Path(__file__).parents[1] / 'paper.json').read_text())['table3_sweep1']


@pytest.fixture
def file(tmp_path):
    return searches.write(tmp_path)


def test_digits_have_the_grid_of_table_3_in_two_programs(tmp_path):
    module = plan.load(pathlib.Path('configs/sweep_digits.py'))
    found = stages.search(
        module, 'grid', 'jmi', 'digits', workdir=tmp_path, overrides=(), together=None
    )
    assert [len(job) for job in found.jobs] == [18, 18]
    axes = (
        PAPER['lr'],
        PAPER['weight_decay'],
        PAPER['temperature']['values'],
        [(128, 64), (128, 128)],
    )
    points = [
        (config.lr, config.weight_decay, config.method.temperature, config.net.projector)
        for config in (member.config for member in found.members)
    ]
    assert sorted(points) == sorted(itertools.product(*axes))
    for job in found.jobs:
        assert len({member.config.net.projector for member in job}) == 1
        assert {member.config.probe.labels for member in job} == {('all',)}


@pytest.mark.parametrize('method', sweep_digits.METHODS)
def test_digits_have_a_configuration_for_every_method(method):
    assert len(sweep_digits.grid(method, 'digits')) == (
        36 if method in sweep_cifar.WITH_TEMPERATURE else 12
    )
    assert pathlib.Path(sweep_digits.grid(method, 'digits')[0]['config']).exists()


def test_large_networks_train_one_by_one_and_data_can_be_swapped(tmp_path):
    module = plan.load(pathlib.Path('configs/sweep_cifar.py'))
    found = stages.search(
        module, 'grid', 'barlow', 'cifar10', workdir=tmp_path, overrides=(), together=None
    )
    assert [len(job) for job in found.jobs] == [1] * 12
    found = stages.search(
        module,
        'grid',
        'barlow',
        'digits',
        workdir=tmp_path,
        overrides=['--config.rollback.times=1'],
        together=None,
    )
    assert [len(job) for job in found.jobs] == [1] * 12
    found = stages.search(
        module, 'grid', 'barlow', 'digits', workdir=tmp_path, overrides=(), together=4
    )
    assert [len(job) for job in found.jobs] == [4, 2, 4, 2] and found.members[
        0
    ].config.data.name == 'digits'


def test_a_member_is_a_run_of_main_with_its_overrides(file, tmp_path):
    found = searches.search(file, tmp_path)
    member = found.members[4]  # the first of the second program
    assert member.folder == tmp_path / 'jmi_gaussian' / 'grid' / 'projector8x3-lr0.1-temperature0.5'
    words = plan.command(member)
    assert words.startswith(
        'python -m mi_ssl_jax.main --config=configs/jmi_gaussian.py --config.epochs=3 '
    )
    assert '--config.net.projector="(8, 3)" --config.lr=0.1 ' in words
    assert '--config.batch_size=50' in plan.command(member) and member.config.batch_size == 50
    again = plan._applied(member.flags, ())
    assert again[1].to_dict() == member.config.to_dict()


@pytest.mark.parametrize(
    'overrides, expected',
    [
        (['--config.lr=0.2'], 'lists a configuration twice'),
        (['--config.epoch=5'], "no config field 'epoch'; did you mean 'epochs'?"),
        (['--config.probe.at_end=False'], 'keep probe.at_end on'),
        (["--config.probe.labels=('1%',)"], "'all' among probe.labels"),
    ],
)
def test_overrides_that_leave_nothing_to_compare_are_refused(file, tmp_path, overrides, expected):
    with pytest.raises(ValueError, match=expected.replace('?', r'\?')):
        searches.search(file, tmp_path, overrides=overrides)


def test_unknown_names_are_answered(file, tmp_path):
    module = plan.load(file)
    with pytest.raises(ValueError, match="no method 'jmmi' in this search; it has jmi"):
        plan.runs(module, 'jmmi', 'gaussian')
    with pytest.raises(
        ValueError, match="no data set 'cifar11' for jmi: there is no configs/jmi_cifar11.py"
    ):
        plan.runs(module, 'jmi', 'cifar11')
    with pytest.raises(
        ValueError, match='configs/base/digits.py is not a search: it has no METHODS'
    ):
        plan.load(pathlib.Path('configs/base/digits.py'))
    with pytest.raises(ValueError, match='no file nowhere.py'):
        plan.load(pathlib.Path('nowhere.py'))


def test_a_folder_of_another_sweep_is_refused_with_the_difference(file, tmp_path):
    plan.write(searches.search(file, tmp_path))
    plan.check(searches.search(file, tmp_path))
    with pytest.raises(ValueError, match=r'another sweep \(config.epochs is 3 there, 4 here\)'):
        plan.check(
            searches.search(file, tmp_path, overrides=[*searches.SMALL, '--config.epochs=4'])
        )
    with pytest.raises(
        ValueError, match=r'programs of \[4, 4\] configurations there, of \[2, 2, 2, 2\]'
    ):
        plan.check(searches.search(file, tmp_path, together=2))


# Stages
# --------------------------------------------------------------------------------------------------


def test_later_stages_start_from_the_best_before_them_and_its_overrides(file, tmp_path):
    grid = searches.search(file, tmp_path)
    searches.finish(grid, [90, 91, 92, 93, 99, 94, 95, 96])
    second = searches.search(file, tmp_path, stage='second', overrides=())
    best = grid.members[4].config
    assert [member.config.net.projector for member in second.members] == [
        (8, 8, best.net.projector[-1])
    ]
    assert (second.members[0].config.lr, second.members[0].config.batch_size) == (best.lr, 50)
    searches.finish(second, [98])
    final = searches.search(file, tmp_path, stage='final', overrides=())
    assert (final.members[0].config.net.projector, final.members[0].config.epochs) == (
        best.net.projector,
        5,
    )


def test_the_second_stage_is_final_where_it_is_better(file, tmp_path):
    searches.finish(searches.search(file, tmp_path), range(90, 98))
    searches.finish(searches.search(file, tmp_path, stage='second'), [98])
    final = searches.search(file, tmp_path, stage='final')
    assert final.members[0].config.net.projector == (8, 8, 3)
    assert (
        '10 a class' in final.members[0].config.probe.labels
    )  # a result is probed as it always is


def test_later_stages_wait_for_the_ones_before(file, tmp_path):
    with pytest.raises(
        ValueError, match=r'grid holds no stage of a search: run it first \(--stage=grid\)'
    ):
        searches.search(file, tmp_path, stage='second')
    searches.finish(searches.search(file, tmp_path), [90, None, 92, 93, None, 94, 95, 96])
    with pytest.raises(ValueError, match=r'2 of 8 configurations in .* are not finished'):
        searches.search(file, tmp_path, stage='second')


# Results
# --------------------------------------------------------------------------------------------------


def test_results_are_sorted_by_accuracy_and_name_what_diverged(file, tmp_path):
    found = searches.search(file, tmp_path)
    searches.finish(found, [90, 99, 92, None, 97, 94, 95, None])
    found.members[3].folder.mkdir()
    results.diverged(found.members[3], 'the loss is nan')
    rows = results.rows(found.members)
    assert [row.get('accuracy') for row in rows] == [99, 97, 95, 94, 92, 90, None, None]
    assert [row['status'] for row in rows[5:]] == ['finished', 'diverged', 'unfinished']
    assert results.best(found) == (found.members[1], 99)
    text = tables.text(results.table(found))
    assert 'jmi on gaussian, grid: 6 finished, 1 diverged, 1 unfinished' in text
    header, _, first = text.splitlines()[2:5]
    assert 'cos-DV' in header and '(8, 2)' in first and '99' in first
    assert plan.command(found.members[1]) in text
    assert f'{found.members[3].folder.name} diverged: the loss is nan' in text


def test_results_are_written_for_machines_too(file, tmp_path):
    found = searches.search(file, tmp_path)
    searches.finish(found, range(90, 98))
    paths = results.write(found)
    rows = json.loads(pathlib.Path(paths[0]).read_text())
    with open(paths[1]) as lines:
        assert [row['run'] for row in csv.DictReader(lines)] == [row['run'] for row in rows]
    assert rows[0]['run'] == found.members[7].folder.name and 0 < rows[0]['mi cos_dv'] < 1
    assert '| 1 |' in pathlib.Path(paths[2]).read_text()


# SLURM
# --------------------------------------------------------------------------------------------------


def test_an_array_has_a_task_for_each_unfinished_job(file, tmp_path, monkeypatch, capsys):
    found = searches.search(file, tmp_path, together=2)
    searches.finish(found, [90, 91, None, 93, 94, 95, 96, None])
    sbatch = tmp_path / 'bin' / 'sbatch'
    sbatch.parent.mkdir()
    sbatch.write_text('#!/bin/sh\ncp "$1" "$1.seen"\necho Submitted batch job 7\n')
    sbatch.chmod(0o755)
    monkeypatch.setenv('PATH', f'{sbatch.parent}:/usr/bin:/bin')
    slurm_array.submit(
        found, [str(file), f'--workdir={tmp_path}'], ['--partition=gpu', '--time=1:00:00']
    )
    script = (found.folder / 'array.sbatch.seen').read_text()
    unfinished = [
        number
        for number, job in enumerate(found.jobs)
        if found.members[2] in job or found.members[7] in job
    ]
    assert f'#SBATCH --array={",".join(map(str, unfinished))}\n' in script
    assert '#SBATCH --partition=gpu\n#SBATCH --time=1:00:00\n' in script
    assert script.splitlines()[-1].endswith(
        '--data=gaussian --stage=grid --job="$SLURM_ARRAY_TASK_ID"'
    )
    assert 'Submitted batch job 7' in capsys.readouterr().out


def test_without_sbatch_or_work_an_array_says_so(file, tmp_path, monkeypatch, capsys):
    found = searches.search(file, tmp_path)
    plan.write(found)
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(ValueError, match='there is no sbatch here'):
        slurm_array.submit(found, [str(file)], [])
    searches.finish(found, range(90, 98))
    slurm_array.submit(found, [str(file)], [])
    assert 'nothing is left to do' in capsys.readouterr().out


@pytest.mark.parametrize(
    'text, reason',
    [
        ('from configs_elsewhere import base', "fails: No module named 'configs_elsewhere'"),
        ('not python at all', 'is not a Python file'),
        ('1 / 0', 'fails: ZeroDivisionError: division by zero'),
        ('raise SystemExit(0)', 'fails: SystemExit: 0'),
        ('{"seed": false}', "fails: NameError: name 'false' is not defined"),
        ('METHODS = ("jmi",)', 'is not a search: it has no DATA'),
    ],
)
@pytest.mark.parametrize('name', ['search.py', 'search.json'])
def test_a_search_that_cannot_be_imported_is_one_line(name, text, reason, tmp_path):
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError) as error:
        plan.load(tmp_path / name)
    assert f'{tmp_path / name} {reason}' in str(error.value) and '\n' not in str(error.value)


def test_a_search_away_from_its_configurations_says_from_where_to_run(file, tmp_path, monkeypatch):
    module = plan.load(file)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(module, 'grid', lambda method, data: [{'config': 'configs/none.py'}])
    with pytest.raises(ValueError, match='no configs/none.py here: run the command from the check'):
        plan.runs(module, module.METHODS[0], module.DATA[0])


@pytest.mark.parametrize(
    'word, message',
    [
        ('--method=', "no method ''"),
        ('--data=', "no data set ''"),
        ('--sbatch="', '--sbatch=": No closing quotation'),
    ],
)
def test_empty_and_unfinished_words_are_refused(word, message, file, tmp_path, monkeypatch, capsys):
    given = ['sweep', str(file), f'--workdir={tmp_path}', '--slurm', word]
    monkeypatch.setattr(sys, 'argv', given)
    try:
        status = guard.guard(sweep_command.main)
    except SystemExit as end:
        status = end.code
    error = capsys.readouterr().err
    assert status == 2 and message in error and error.count('\n') == 1


def test_a_users_own_method_is_not_assumed_to_read_a_traced_temperature():
    config = jmi_digits.get_config()
    warm, cold = (config.copy_and_resolve_references() for _ in range(2))
    cold.method.temperature = 2 * warm.method.temperature
    assert plan._program(warm) == plan._program(cold)
    warm.method.name = cold.method.name = 'my_method:build'
    assert plan._program(warm) != plan._program(cold)
