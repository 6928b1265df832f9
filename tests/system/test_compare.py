"""The command that compares runs, on folders that training has written; its page in a browser."""

import json
import os
import re
import shutil
import subprocess
import sys
import time

import pytest

from mi_ssl_jax import compare
from mi_ssl_jax.cli import guard
from mi_ssl_jax.figures import run_files, timing
from mi_ssl_jax.runs import checkpoint, compared, recording, run
from tests.helpers import html_page, runs, synthetic_runs


def command(monkeypatch, *words):
    monkeypatch.setattr(sys, 'argv', ['compare', *map(str, words)])
    return guard.guard(compare.main)


@pytest.mark.slow
def test_runs_that_trained_stand_on_one_page(own_data_dir, tmp_path, monkeypatch, capsys):
    folders = [tmp_path / name for name in ('a', 'b')]
    for folder, lr in zip(folders, (0.1, 0.05), strict=True):
        run.run(runs.small(lr=lr, epochs=2), folder)
    (tmp_path / 'empty').mkdir()
    out = tmp_path / 'page.html'
    assert command(monkeypatch, *folders, tmp_path / 'empty', '--embed', f'--out={out}') == 0
    said = capsys.readouterr().out
    assert f'{tmp_path}/empty/config.json is missing' in said and f'wrote {out}: 2 runs' in said
    root = html_page.read(out)
    table = html_page.cells(root)
    assert (table['a']['lr'], table['b']['lr']) == ('0.1', '0.05')
    assert table['a']['epochs'] == '2 of 2' and table['a']['goodput'].endswith(' %')
    assert len(root.all('svg', class_='scatter')) == 2
    assert html_page.payload(root)['runs'][0]['steps'] > 0
    command(monkeypatch, *folders, '--embed', f'--out={out}')
    assert 'encoding' not in capsys.readouterr().out  # they are there


def test_the_time_of_a_run_is_where_it_was_spent(own_data_dir, tmp_path, monkeypatch):
    measure, save = recording.experiments.measure, checkpoint.Store.save

    def slow_measure(ready):
        own = measure(ready)
        return lambda *args, **kwargs: (time.sleep(0.2), own(*args, **kwargs))[1]

    def slow_save(self, *args):
        time.sleep(0.3)
        save(self, *args)

    listeners, monitoring = [], recording.jax.monitoring
    for name in ('register_event_duration_secs_listener', 'unregister_event_duration_listener'):
        act = getattr(monitoring, name)
        both = lambda listener, act=act: (listeners.append(listener), act(listener))
        monkeypatch.setattr(monitoring, name, both)
    monkeypatch.setattr(recording.experiments, 'measure', slow_measure)
    monkeypatch.setattr(checkpoint.Store, 'save', slow_save)
    run.run(runs.small(epochs=2), tmp_path / 'run')
    lines = run_files.log(tmp_path / 'run' / 'metrics.jsonl')
    found = timing.read(tmp_path / 'run')
    assert len(found.epochs) == len(lines) + 1 and found.spent['saving'] >= 0.3
    assert found.spent['evaluation'] >= 0.2 * sum('mi' in line for line in lines)
    assert 0 < found.goodput < 1 and sum(found.spent.values()) <= found.seconds + 0.01
    assert found.spent['compilation'] > 0
    assert len(listeners) == 2 and len(set(listeners)) == 1  # it came and went


@pytest.mark.parametrize(
    'words, said',
    [
        (['nowhere', '--out=page.html'], 'nowhere/config.json is missing: give the workdir'),
        (['nowhere', '--out=page.png'], '--out=page.png must name a file that ends in .html'),
        (['nowhere', '--out=no/page.html'], 'there is no folder no for --out'),
        ([], 'required: RUN'),
    ],
)
def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    try:
        status = command(monkeypatch, *words)
    except SystemExit as error:
        status = error.code
    (line,) = capsys.readouterr().err.splitlines()
    assert status == 2 and said in line and not list(tmp_path.iterdir())


# In a browser
# --------------------------------------------------------------------------------------------------

BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'chrome', 'headless_shell')


@pytest.fixture
def browser():
    named = os.environ.get('MI_SSL_BROWSER')
    found = named or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not found:
        pytest.skip('needs Chromium: install it, or name it in MI_SSL_BROWSER')
    return found


def opened(browser, page, folder, width=1200):
    """The page's elements after its script has run, and what the browser's console says."""
    done = subprocess.run(
        [
            browser,
            '--headless',
            '--no-sandbox',
            '--disable-gpu',
            '--enable-logging=stderr',
            f'--user-data-dir={folder / "profile"}',
            f'--window-size={width},900',
            '--virtual-time-budget=5000',
            '--dump-dom',
            page.as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (folder / 'dom.html').write_text(done.stdout)
    return html_page.read(folder / 'dom.html'), re.findall(r'CONSOLE.*', done.stderr)


@pytest.mark.slow
def test_a_browser_draws_the_curves(browser, tmp_path):
    folders = synthetic_runs.all_methods(tmp_path / 'runs', seeds=2, epochs=5)
    found, left_out = compared.read(list(folders.values()))
    page_file = tmp_path / 'page.html'
    from mi_ssl_jax.figures.comparing import page

    page.write(found, left_out, page_file)
    probe = (
        '<script>addEventListener("load", () => setTimeout(() => {'
        'document.title = JSON.stringify([document.documentElement.scrollWidth, innerWidth]);'
        '}, 500));</script>'
    )
    text = page_file.read_text()
    policy = re.search(r'<meta http-equiv[^>]*>', text)[0]
    (tmp_path / 'probed.html').write_text(
        text.replace(policy, '').replace('</body>', probe + '</body>')
    )
    root, console = opened(browser, page_file, tmp_path)
    assert console == []
    (panels,) = root.all(id='panels')
    assert len(panels.all('svg')) >= 6
    for panel in panels.all('svg'):
        assert len(panel.all('path', class_='curve')) >= 8
    assert len(root.all('button', aria_pressed='true')) == 8
    narrow, _ = opened(browser, tmp_path / 'probed.html', tmp_path, width=500)
    (title,) = narrow.all('title')[:1]
    needed, there = json.loads(title.text)
    assert needed <= there
