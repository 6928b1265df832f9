"""The recipes on digits: what is transferred, and the table of finished runs."""

import json

import pytest

from mi_ssl_jax.experiment import schema
from mi_ssl_jax.reproduce import mmi, recipes, training

PARTS = recipes.variants()


@pytest.mark.parametrize('method', recipes.METHODS)
def test_optimiser_schedule_and_method_are_the_presets(method):
    digits = training.config(f'{method}_digits')
    for end in recipes.PRESETS.values():
        config, source = (
            recipes.transferred(method, end),
            training.config(f'{method}_cifar10{end}'),
        )
        schema.check(config, method)
        for name in recipes.SHARED:
            assert config[name] == source[name], name
        assert config.warmup_epochs == (5 if end else 0)
        for name in ('data', 'views', 'net', 'batch_size', 'epochs'):
            assert config[name] == digits[name], name


def test_vicreg_with_adapted_vectors_differs_in_that_alone():
    own, tuned = PARTS['recipes'][-1].make(), recipes.transferred('vicreg', '_tuned')
    assert own.optimizer.lars.vectors and not tuned.optimizer.lars.vectors
    tuned.optimizer.lars.vectors = True
    assert own.to_dict() == tuned.to_dict()


def test_other_parts_change_what_they_are_named_after():
    own = [variant.make().method.critic for variant in PARTS['critics']]
    assert own == ['cosine', 'separable', 'concatenated']
    assert [variant.make().method.name for variant in PARTS['relatives']] == ['mmi', 'corinfomax']


def test_a_table_of_finished_and_of_diverged_runs(tmp_path, monkeypatch, capsys):
    def trained(config, folder):
        folder.mkdir(parents=True)
        if folder.name == 'mmi':
            return
        rows = [
            {'encoder': encoder, 'probe': probe, 'labels': labels, 'seeds': seeds}
            for encoder, probe, labels, seeds in (
                ('raw inputs', 'linear', 'all', [1.0, 1.0]),
                ('untrained encoder (theta)', 'linear', 'all', [2.0, 2.0]),
                ('theta', 'linear', 'all', [97.0, 98.0]),
                ('theta', 'linear', '10 a class', [3.0, 3.0]),
                ('theta', 'kNN', 'all', [96.0, 96.0]),
            )
        ]
        (folder / 'probe.json').write_text(json.dumps({'rows': rows}))
        lines = [{'mi': {'cos_dv': [0.1, 0.1]}}, {'loss': 1}, {'mi': {'cos_dv': [0.5, 0.7]}}]
        (folder / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, lines)))

    monkeypatch.setattr(mmi, 'train', trained)
    recipes.reproduce(workdir=tmp_path, only=('relatives',), epochs=3, seeds=2)
    failed, found = json.loads((tmp_path / 'recipes.json').read_text())
    assert failed == {'part': 'relatives', 'label': 'mmi'}
    assert found['linear'] == [97, 98] and found['knn'] == [96, 96] and found['mi'] == [0.5, 0.7]
    out = capsys.readouterr().out
    assert 'diverged' in out and '97.50 ± 0.71' in out and '0.60 ± 0.14' in out
