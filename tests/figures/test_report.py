"""The report of one run, whole and in parts; nothing here needs JAX."""

import json
import pkgutil
import subprocess
import sys
from pathlib import Path

from mi_ssl_jax import figures
from mi_ssl_jax.figures import report, run_files
from tests.helpers import synthetic_runs

ROOT = Path(__file__).parents[2]


def test_the_report_of_a_run(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'sdmi', seeds=3, epochs=4)
    (workdir / 'figures').mkdir()
    for name in report.CAPTIONS:
        (workdir / 'figures' / name).touch()
    path = report.write(workdir, notes=['theta: collapse: all embeddings are nearly the same'])
    text = path.read_text()
    assert path == workdir / 'report.md'
    assert text.startswith('# SDMI on gaussian\n\ntheta: collapse')
    assert (
        '4 of 4 epochs, batch size 2500, sgd, learning rate 0.5' in text
        and 'temperature = 1.0' in text
    )
    values = run_files.series(run_files.read(workdir), 'mi', 'cos_dv')[1]
    last = f'{values[-1].mean():.3f} ± {values[-1].std(ddof=1):.3f}'
    assert f'| {last} | – | {values[1:].max():.3f} | 1.000 |' in text and '1.6503 nats' in text
    gap = run_files.final_gaps(run_files.read(workdir), 'xi').mean
    assert f'{gap.mean():.1f} ± {gap.std(ddof=1):.1f} |' in text
    assert '| SDMI g | 73.77 |' in text
    for name in report.CAPTIONS:
        assert f'](figures/{name})' in text


def test_parts_that_are_missing_are_left_out(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=1)
    (workdir / 'metrics.jsonl').write_text('')
    text = report.write(workdir).read_text()
    assert 'Nothing has been measured yet.' in text and '##' not in text


def test_a_run_measured_only_before_training(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'jmi', seeds=2, epochs=0)
    assert 'Measured before training only.' in report.write(workdir).read_text()


def test_probes_stand_with_their_protocol_and_the_papers_accuracy(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'sdmi', seeds=2, epochs=2, data='cifar10')
    rows = [
        {
            'encoder': encoder,
            'probe': 'linear',
            'labels': labels,
            'seeds': [80.0, 82.0],
            'protocol': f'SGD on {labels}',
        }
        for encoder in ('raw inputs', 'theta')
        for labels in ('all', '10 a class')
    ]
    (workdir / 'probe.json').write_text(json.dumps({'settings': {'epochs': 2}, 'rows': rows}))
    text = report.write(workdir).read_text()
    assert '| theta | linear | 10 a class | 81.0 ± 1.4 | 80.0, 82.0 |' in text
    assert text.count('- linear, all: SGD on all') == 1
    assert 'Paper: SDMI f 88.61 ± 0.13, SDMI g 88.59 ± 0.35 (Table 1' in text
    assert 'Table 2' not in text and '1.6503' not in text


def test_the_time_and_what_it_was_spent_in(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=1)
    assert '## Time' not in report.write(workdir).read_text()
    line = {'epoch': 1, 'seconds': 3700.0, 'training': 2960.0, 'evaluation': 370}
    line |= {'compilation': 100, 'saving': 85.0}
    (workdir / 'timing.jsonl').write_text(json.dumps(line))
    text = report.write(workdir).read_text()
    assert '| training steps | 2960.0 | 80.0 % |' in text and 'Of 1:01:40' in text
    assert '| the rest | 185.0 | 5.0 % |' in text and 'sessions' not in text
    (workdir / 'timing.jsonl').write_text('{"epoch": 1, "seconds": 61}')  # an earlier version's
    assert 'Training took 0:01:01 (h:mm:ss).' in report.write(workdir).read_text()


def test_collapse_figures_in_words(tmp_path):
    workdir = synthetic_runs.write(tmp_path, 'jmi', seeds=1, epochs=1, data='digits')
    run = run_files.read(workdir)
    branch = run.lines[-1]['collapse']['theta']
    branch.update(std=[0.05], effective_rank=[12.346], nn_gap={**branch['nn_gap'], 'mean': [61.26]})
    # 1 / sqrt(64) is 0.125.
    assert '| theta | 0.050 | 40 % | 12.35 | 61.3 |' in report.collapse(run)
    assert 'effective rank of 64' in report.collapse(run)


def test_no_module_needs_jax():
    modules = [
        f'mi_ssl_jax.figures.{entry.name}' for entry in pkgutil.iter_modules(figures.__path__)
    ]
    code = (
        "import importlib, sys\nfor name in ('jax', 'jaxlib', 'flax', 'optax', 'chex'):"
        ' sys.modules[name] = None\nfor name in sys.argv[1:]: importlib.import_module(name)\n'
    )
    done = subprocess.run(
        [sys.executable, '-c', code, *modules], cwd=ROOT, capture_output=True, text=True
    )
    assert len(modules) >= 10 and done.returncode == 0, done.stderr
