"""The page that compares runs: its numbers, its curves, what is escaped, what is left out."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mi_ssl_jax.figures import run_files, timing
from mi_ssl_jax.figures.comparing import columns, embedding, images, page, series, summary
from mi_ssl_jax.runs import compared
from tests.helpers import html_page, probed, synthetic_runs

CSS = (Path(page.__file__).with_name('page.css')).read_text()
HOSTILE = '<img src=x onerror=alert(1)>"\'&</script><script>alert(2)</script><!--'


def changed(folder, **fields):
    """Change fields of a run's configuration: lr=0.1, method__temperature=0.2."""
    path = folder / 'config.json'
    config = json.loads(path.read_text())
    for name, value in fields.items():
        *groups, last = name.split('__')
        place = config
        for group in groups:
            place = place[group]
        place[last] = value
    path.write_text(json.dumps(config))
    return folder


def timed(folder, sessions, *, whole=True):
    """timing.jsonl of sessions, each the seconds of its log points; half of them in training."""
    lines, epoch = [], 0
    for seconds in sessions:
        for value in seconds:
            own = {'training': value / 2, 'evaluation': value / 4}
            own |= {'compilation': value / 16, 'saving': value / 16}
            lines.append({'epoch': epoch, 'seconds': value, **(own if whole else {})})
            epoch += 1
    (folder / 'timing.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    return folder


def drawn(folder, name='mi.png', size=(840, 310)):
    """A picture with lines in it, as matplotlib draws them."""
    (folder / 'figures').mkdir(exist_ok=True)
    image = Image.new('RGB', size, 'white')
    pen = ImageDraw.Draw(image)
    for step in range(0, size[0], 12):
        pen.line((step, 0, size[0] - step, size[1]), fill=(step % 255, 90, 160), width=2)
    image.save(folder / 'figures' / name)
    return folder


def embedded(folder, names, count=60, width=5):
    rng = np.random.default_rng(count)
    labels = np.arange(count) % len(names)
    z = rng.normal(size=(count, width)) + 4 * np.eye(width)[labels % width]
    (folder / 'embeddings').mkdir()
    np.save(folder / 'embeddings' / 'test_z.npy', z)
    np.save(folder / 'embeddings' / 'test_labels.npy', labels)
    (folder / 'embeddings' / 'class_names.json').write_text(json.dumps(names))
    return folder


def written(folders, path):
    found, left_out = compared.read(folders)
    page.write(found, left_out, path)
    return html_page.read(path)


def test_the_table_says_what_runs_reached_cost_and_differ_in(tmp_path):
    first = synthetic_runs.write(tmp_path / 'jmi', 'jmi', seeds=2, epochs=4)
    second = changed(
        synthetic_runs.write(tmp_path / 'sdmi', 'sdmi', seeds=2, epochs=4),
        lr=0.25,
        method__temperature=0.5,
        data__dir='/elsewhere',
    )
    rows = [
        probed.row('untrained encoder (theta)', [30, 30]),
        probed.row('theta', [90, 92]),
        probed.row('xi', [80, 82]),
        probed.row('theta', [95, 95], probe='kNN'),
    ]
    (second / 'probe.json').write_text(json.dumps({'settings': {'epochs': 4}, 'rows': rows}))
    timed(second, [[1, 2, 3600], [0, 100]])
    root = written([first, second], tmp_path / 'page.html')
    table = html_page.cells(root)
    own = table['sdmi']
    assert own['linear, all (%)'] == 'f 91.0 ± 1.4, g 81.0 ± 1.4'
    assert own['kNN, all (%)'] == 'f 95.0 ± 0.0' and table['jmi']['kNN, all (%)'] == '–'
    values = run_files.series(run_files.read(second), 'mi', 'cos_dv')[1][-1]
    assert own['cos-DV'] == f'{values.mean():.3f} ± {values.std(ddof=1):.3f}'
    assert (own['wall time'], own['goodput'], own['s per epoch']) == ('1:01:40', '50 %', '925')
    assert (own['lr'], table['jmi']['lr']) == ('0.25', '0.5')
    assert (own['method.temperature'], own['epochs']) == ('0.5', '4 of 4')
    assert own['collapsed?'] == 'no' and own['effective rank'].startswith('f ')
    assert not {'data.dir', 'method.name', 'seed', 'batch_size'} & set(own)
    (details,) = [own for own in root.all('details') if 'in common' in own.text]
    common = [entry.text for entry in details.all('dt')]
    assert 'batch_size' in common and 'lr' not in common


def test_rows_are_sorted_by_numbers(tmp_path):
    runs = [
        probed.write(tmp_path / str(n), 'jmi', [accuracy], lr=0.1)
        for n, accuracy in enumerate([9.0, 88.0])
    ]
    found, _ = compared.read(runs)
    (column,) = [own for own in columns.of(found) if own.group == 'accuracy']
    assert [cell.value for cell in column.cells] == [9.0, 88.0]
    assert [cell.text for cell in column.cells] == ['9.0', '88.0']


def test_curves_are_means_over_seeds_on_their_epochs(tmp_path):
    folder = synthetic_runs.write(tmp_path / 'a', 'simsiam', seeds=3, epochs=6)
    root = written([folder], tmp_path / 'page.html')
    data = html_page.payload(root)
    (run,) = data['runs']
    ((member, place, means, sd),) = run['curves']['mi/cos_dv']
    epochs, values = run_files.series(run_files.read(folder), 'mi', 'cos_dv')
    assert member == '' and run['epochs'][place] == epochs[1:].tolist()  # -infinity is no point
    np.testing.assert_allclose(means, values[1:].mean(axis=1), rtol=1e-4)
    np.testing.assert_allclose(sd, values[1:].std(axis=1, ddof=1), rtol=1e-2)
    assert run['curves']['loss'][0][0] == 'E-step' and run['steps'] == 1
    titles = {own['key']: own for own in data['panels']}
    assert titles['mi/cos_dv']['main'] and not titles['joint']['main']
    assert 'collapse/nn_gap/mean' in titles and 'collapse/nn_gap/sd' not in titles
    assert 'centres' not in {key.split('/')[0] for key in titles}


def test_two_encoders_share_a_panel(tmp_path):
    run = run_files.read(synthetic_runs.write(tmp_path, 'sdmi', seeds=1, epochs=2))
    members = [own.member for own in series.of(run) if own.panel == 'collapse/effective_rank']
    phases = [own.member for own in series.of(run) if own.panel == 'loss']
    assert members == ['f', 'g'] and phases == ['E-step', 'M-step']


def test_long_curves_are_thinned_and_keep_both_ends(tmp_path, monkeypatch):
    folder = synthetic_runs.write(tmp_path / 'a', 'jmi', seeds=1, epochs=90)
    monkeypatch.setattr(series, 'NUMBERS', 0)
    (found,), _ = compared.read([folder])
    data = series.payload([found])
    for epochs in data['runs'][0]['epochs']:
        assert len(epochs) == series.LEAST == data['thinned']
        assert epochs == sorted(set(epochs)) and epochs[0] <= 1 and epochs[-1] == 90


def test_wall_time_is_counted_over_sessions(tmp_path):
    folder = synthetic_runs.write(tmp_path / 'a', 'jmi', seeds=1, epochs=4)
    found = timing.read(timed(folder, [[1, 4], [2, 8], [1]]))
    assert (found.seconds, found.sessions) == (13, 3)
    assert found.seconds_at.tolist() == [1, 4, 6, 12, 13]
    spent = {'training': 6.5, 'evaluation': 3.25, 'compilation': 0.8125, 'saving': 0.8125}
    assert found.spent == spent
    assert found.goodput == 0.5 and timing.parts(found)['the rest'] == 1.625
    (run,), _ = compared.read([folder])
    assert series.payload([run])['runs'][0]['clock'][1] == [1, 4, 6, 12, 13]
    before = timing.read(timed(folder, [[1, 4]], whole=False))
    assert before.seconds == 4 and not before.spent and np.isnan(before.goodput)
    assert timing.parts(before) == {}
    (folder / 'timing.jsonl').write_text('')
    assert timing.read(folder) is None


@pytest.mark.parametrize('line', ['{"epoch": 1}', '{"epoch": 1, "seconds": -1}', '{"ep', '[]'])
def test_a_damaged_time_is_named(tmp_path, line):
    (tmp_path / 'timing.jsonl').write_text(line + '\n')
    with pytest.raises(ValueError, match='line 1 of .*timing.jsonl is .*remove it'):
        timing.read(tmp_path)


def test_nothing_that_a_file_holds_becomes_markup(tmp_path):
    folder = synthetic_runs.write(tmp_path / HOSTILE.replace('/', '\\'), 'jmi', seeds=1, epochs=2)
    other = synthetic_runs.write(tmp_path / 'b', 'jmi', seeds=1, epochs=2)
    changed(folder, method__name=HOSTILE, data__name=HOSTILE, views__name=HOSTILE)
    changed(folder, **{HOSTILE: HOSTILE})
    lines = (folder / 'metrics.jsonl').read_text().splitlines()
    lines = [json.dumps({**json.loads(line), HOSTILE: {HOSTILE: [1.0]}}) for line in lines]
    (folder / 'metrics.jsonl').write_text('\n'.join(lines))
    (folder / 'environment.json').write_text(json.dumps({'devices': [HOSTILE]}))
    rows = [probed.row(HOSTILE, [50], probe=HOSTILE, labels=HOSTILE)]
    (folder / 'probe.json').write_text(json.dumps({'settings': {'epochs': 1}, 'rows': rows}))
    embedded(folder, [HOSTILE, 'b', 'c'])
    drawn(folder, HOSTILE.replace('/', '\\') + '.png')
    root = written([folder, other, tmp_path / HOSTILE], tmp_path / 'page.html')
    scripts = root.all('script')
    assert [own.attributes for own in scripts] == [{'type': 'application/json', 'id': 'data'}, {}]
    (own,) = [run for run in html_page.payload(root)['runs'] if run['name'] != 'b']
    assert HOSTILE in own['curves']
    assert all(image.attributes['src'].startswith('data:image/webp') for image in root.all('img'))
    elements = root.all()
    assert not [key for node in elements for key in node.attributes if key.startswith('on')]
    assert html_page.cells(root)[folder.name]['method'] == HOSTILE
    assert HOSTILE in [option.text for option in root.all('dt') + root.all('button')]
    (policy,) = root.all('meta', http_equiv='Content-Security-Policy')
    assert "default-src 'none'" in policy.attributes['content']


def test_the_page_needs_no_network(tmp_path):
    root = written([drawn(synthetic_runs.write(tmp_path / 'a', 'jmi'))], tmp_path / 'page.html')
    identities = [node.attributes['id'] for node in root.all(id=True)]
    assert len(identities) == len(set(identities)) > 10
    text = (tmp_path / 'page.html').read_text()
    addresses = [
        value
        for node in root.all()
        for key, value in node.attributes.items()
        if key in ('src', 'href', 'action', 'srcset', 'poster')
    ]
    assert addresses and all(value.startswith('data:') for value in addresses)
    assert 'url(' not in CSS and '@import' not in CSS and 'fetch(' not in text


BROKEN = {
    'no folder': lambda folder: folder.rename(folder.with_name('gone')),
    'no configuration': lambda folder: (folder / 'config.json').unlink(),
    'half a configuration': lambda folder: _half(folder / 'config.json'),
    'no log': lambda folder: (folder / 'metrics.jsonl').unlink(),
    'half a log': lambda folder: _half(folder / 'metrics.jsonl'),
    'another shape': lambda folder: _edit(folder, lambda line: {**line, 'collapse': [1.0]}),
    'a network of the wrong kind': lambda folder: changed(folder, net__options=['mlp']),
}
KEPT = {
    'half a probe': ('probe.json', '{"rows": ['),
    'half a time': ('timing.jsonl', '{"epoch": 1, "sec'),
    'no device': ('environment.json', '{"devices": 3}'),
    'a picture that is none': ('figures/loss.png', 'not a picture'),
    'embeddings that are none': ('embeddings/test_z.npy', 'not an array'),
}


def _half(path):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])


def _edit(folder, edit):
    path = folder / 'metrics.jsonl'
    lines = [json.dumps(edit(json.loads(line))) for line in path.read_text().splitlines()]
    path.write_text('\n'.join(lines))


@pytest.mark.parametrize('kind', BROKEN)
def test_a_run_that_cannot_be_read_is_one_line_and_stops_no_other(tmp_path, kind):
    good = synthetic_runs.write(tmp_path / 'good', 'jmi', seeds=1, epochs=2)
    bad = synthetic_runs.write(tmp_path / 'bad', 'byol', seeds=1, epochs=2)
    BROKEN[kind](bad)
    found, left_out = compared.read([bad, good])
    assert [run.name for run in found] == ['good']
    (line,) = left_out
    assert 'bad' in line and '\n' not in line
    page.write(found, left_out, tmp_path / 'page.html')
    root = html_page.read(tmp_path / 'page.html')
    assert list(html_page.cells(root)) == ['good'] and line in [li.text for li in root.all('li')]


@pytest.mark.parametrize('kind', KEPT)
def test_a_damaged_part_is_one_line_and_the_run_stays(tmp_path, kind):
    folder = synthetic_runs.write(tmp_path / 'a', 'jmi', seeds=1, epochs=2)
    name, content = KEPT[kind]
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(content)
    root = written([folder], tmp_path / 'page.html')
    assert html_page.cells(root)['a']['method'] == 'JMI'
    (line,) = [li.text for li in root.all('li')]
    assert name in line and '\n' not in line


def test_bytes_that_are_lost_or_changed_end_in_no_traceback(tmp_path):
    rng = np.random.default_rng(0)
    folder = timed(synthetic_runs.write(tmp_path / 'a', 'sdmi', seeds=1, epochs=2), [[1, 2, 3]])
    rows = [probed.row('theta', [50])]
    (folder / 'probe.json').write_text(json.dumps({'settings': {'epochs': 2}, 'rows': rows}))
    names = ['config.json', 'metrics.jsonl', 'timing.jsonl', 'probe.json']
    whole = {name: (folder / name).read_bytes() for name in names}
    read = 0
    for _ in range(60):
        name = names[rng.integers(len(names))]
        content = bytearray(whole[name])
        for _ in range(rng.integers(1, 4)):
            content[rng.integers(len(content))] = rng.choice(list(b'0"[]{},:-.en\xff'))
        (folder / name).write_bytes(content)
        found, left_out = compared.read([folder])
        assert len(found) + len(left_out) == 1
        if found:
            page.write(found, left_out, tmp_path / 'page.html')
            read += 1
        (folder / name).write_bytes(whole[name])
    assert read > 5


def test_a_run_that_has_just_begun_is_shown(tmp_path):
    folder = synthetic_runs.write(tmp_path / 'a', 'jmi', seeds=1, epochs=2)
    (folder / 'metrics.jsonl').write_text('')
    root = written([folder], tmp_path / 'page.html')
    assert html_page.cells(root)['a']['epochs'] == '0 of 2'
    assert html_page.payload(root)['panels'] == []


def test_a_hundred_runs_stay_below_five_megabytes(tmp_path):
    source = timed(synthetic_runs.write(tmp_path / 'run', 'sdmi', seeds=2, epochs=15), [range(16)])
    drawn(source)
    embedded(source, list('abcdef'), count=400)
    (one,), _ = compared.read([source])
    runs = [
        one._replace(name=f'run {n}', settings={**one.settings, 'lr': n / 100}) for n in range(100)
    ]
    page.write(runs, [], tmp_path / 'page.html')
    root = html_page.read(tmp_path / 'page.html')
    assert len(html_page.cells(root)) == 100 and len(root.all('img')) == 100
    assert len(root.all('svg', class_='scatter')) == 100
    assert (tmp_path / 'page.html').stat().st_size < 5e6


def test_pictures_fit_what_they_may_take(tmp_path):
    path = drawn(tmp_path, size=(1600, 600)) / 'figures' / 'mi.png'
    large, little = images.small(path, 10**7), images.small(path, 20_000)
    assert large.width == 1400 and len(little.address) <= 20_100 and little.width < 1400
    assert abs(little.width / little.height - 1600 / 600) < 0.02


def test_two_components_hold_the_variance_that_eigenvalues_say():
    rng = np.random.default_rng(0)
    z = rng.normal(size=(300, 6)) * [5, 3, 1, 1, 0.5, 0.1]
    found = embedding.project(z, np.zeros(300, int), [])
    unit = z / np.linalg.norm(z, axis=1, keepdims=True)
    eigenvalues = np.linalg.eigvalsh(np.cov(unit.T))[::-1]
    np.testing.assert_allclose(found.shares, eigenvalues[:2] / eigenvalues.sum())
    np.testing.assert_allclose(np.cov(found.points.T, ddof=1), np.diag(eigenvalues[:2]), atol=1e-9)
    mirrored = embedding.project(np.roll(z, 7, axis=0), np.zeros(300, int), [])
    np.testing.assert_allclose(mirrored.points, np.roll(found.points, 7, axis=0), atol=1e-9)


@pytest.mark.parametrize('z', [np.ones((5, 1)), np.zeros((4, 3)), np.eye(3)[:, :2] - 0.5])
def test_embeddings_of_few_dimensions_or_of_none_are_drawn(z):
    found = embedding.project(z, np.arange(len(z)) - 1, ['a', 'b', 'c', 'd'])
    assert found.points.shape == (len(z), 2) and np.isfinite(found.shares).all()
    drawn = embedding.picture(found, 100, 'title')
    assert len(drawn.findall('path')) == len(z)  # a class each
    assert [text.text for text in drawn.findall('text')] == list('abcd')[: len(z) - 1]


@pytest.mark.parametrize(
    'z, labels', [(np.ones((2, 3)), 2), (np.ones((5, 3)), 4), (np.full((5, 3), np.nan), 5)]
)
def test_what_is_no_embedding_is_refused(z, labels):
    with pytest.raises(ValueError, match='embeddings'):
        embedding.project(z, np.zeros(labels, int), [])


def test_old_embeddings_are_told_of(tmp_path):
    folder = embedded(synthetic_runs.write(tmp_path / 'a', 'jmi'), list('abc'))
    (found,), _ = compared.read([folder])
    assert found.notes == () and found.embedding.count == 60
    later = (folder / 'embeddings' / 'test_z.npy').stat().st_mtime + 5
    os.utime(folder / 'metrics.jsonl', (later, later))
    (found,), _ = compared.read([folder])
    assert 'is older than the training' in found.notes[0] and found.embedding is not None


def test_names_are_as_short_as_they_can_be(tmp_path):
    paths = [tmp_path / name for name in ('a/x/run', 'b/x/run', 'b/y/run')]
    assert summary.names(paths) == ['a/x/run', 'b/x/run', 'b/y/run']
    assert summary.names(paths[1:]) == ['x/run', 'y/run']
    assert summary.names([tmp_path / 'a', tmp_path / 'b']) == ['a', 'b']


def test_a_run_that_is_given_twice_counts_once(tmp_path):
    folder = synthetic_runs.write(tmp_path / 'a', 'jmi', seeds=1, epochs=1)
    found, _ = compared.read([folder, tmp_path / 'a' / '..' / 'a'])
    assert len(found) == 1


# Colours
# --------------------------------------------------------------------------------------------------

# Machado, Oliveira, Fernandes (2009), severity 1, on linear RGB.
BLIND = {
    'none': np.eye(3),
    'deuteranopia': [[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]],
    'protanopia': [[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]],
}


def linear(colour):
    value = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)


def luminance(rgb):
    return rgb @ [0.2126, 0.7152, 0.0722]


def lab(rgb):
    """CIE L*a*b* of linear RGB (D65)."""
    matrix = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    x = np.clip(matrix @ rgb, 0, None) / [0.9505, 1, 1.089]
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize('theme', ['light', 'dark'])
def test_colours_are_seen_and_told_apart(theme):
    block = re.findall(r':root \{(.*?)\}', CSS, flags=re.DOTALL)[theme == 'dark']
    known = dict(re.findall(r'--(\w+): (#\w{6})', block))
    ground = luminance(linear(known['ground']))

    def contrast(name):
        low, high = sorted([luminance(linear(known[name])), ground])
        return (high + 0.05) / (low + 0.05)

    assert contrast('ink') > 7 and contrast('soft') > 4.5 and contrast('accent') > 4.5
    curves = [f'c{n}' for n in range(8)]
    assert all(contrast(name) >= 3 for name in curves + [f'k{n}' for n in range(10)])
    for matrix in BLIND.values():
        seen = [lab(np.array(matrix) @ linear(known[name])) for name in curves]
        apart = [np.linalg.norm(a - b) for n, a in enumerate(seen) for b in seen[:n]]
        assert min(apart) > 20
