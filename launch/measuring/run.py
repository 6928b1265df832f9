"""The project's speed on this machine, in one command; see launch/measure.sh.

This process uses the standard library alone: each part runs in a worker that can be killed, and
every result is on disk before the next part starts.

    python3 launch/measuring/run.py --project=DIR --out=DIR [--data=TFDS_DIR] [--seconds=530]
        [--parts=a,b] [--smoke]
"""

import argparse
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

KIT = Path(__file__).resolve().parent
# part -> (most seconds, worker). In the order of their worth: what comes last is lost first, but
# for what `KEEP` holds back.
PARTS = {
    'env': (45, 'jax'),
    'simclr': (110, 'jax'),
    'jmi': (80, 'jax'),
    'sdmi': (120, 'jax'),
    'critic': (90, 'jax'),
    'seeds': (45, 'jax'),
    'torch': (110, 'torch'),
    'r50': (150, 'jax'),
    'gaussian': (110, 'cli'),
    'pilot': (150, 'cli'),
    'probe': (60, 'cli'),
}
# For a second call, in the time that is left: --parts=gaussian,micro,pad --seconds=170
EXTRA = {
    f'xla:{name}': (100, 'jax')
    for name in ('default', 'lhs', 'nograph', 'notriton', 'det', 'noautotune')
}
EXTRA |= {'micro': (70, 'jax'), 'seeds3': (150, 'jax'), 'pad': (100, 'jax')}
FLAGS = {
    'xla:default': '',
    'xla:lhs': '--xla_gpu_enable_latency_hiding_scheduler=true',
    'xla:nograph': '--xla_gpu_enable_command_buffer=',
    'xla:notriton': '--xla_gpu_enable_triton_gemm=false',
    'xla:det': '--xla_gpu_deterministic_ops=true',
    'xla:noautotune': '--xla_gpu_autotune_level=0',
}
KEEP = {'pilot': 75, 'torch': 60}  # seconds that earlier parts leave for these


def main():
    values = arguments()
    values.project, values.scratch = (
        str(Path(values.project).resolve()),
        str(Path(values.scratch).resolve()),
    )
    values.data = str(Path(values.data).resolve()) if values.data else ''
    out = Path(values.out).resolve()
    out.mkdir(parents=True, exist_ok=True)
    results = out / 'results.jsonl'
    start, clock = time.time(), Clock(out / 'clocks.csv')
    parts = values.parts.split(',') if values.parts else list(PARTS)
    limits = {**PARTS, **EXTRA}
    end = start + values.seconds
    waiting = list(parts)
    while waiting:
        kind = limits[waiting[0]][1]
        # Neighbours of one kind share a worker (one start of JAX); the cli's and those with flags
        # have their own.
        group = [waiting[0]]
        if kind == 'jax' and waiting[0] not in FLAGS:
            for name in waiting[1:]:
                if limits[name][1] != 'jax' or name in FLAGS:
                    break
                group.append(name)
        done = work(group, values, results, end, limits, waiting)
        waiting = [name for name in waiting if name not in done]
    clock.stop()
    text = table(results, clock, time.time() - start)
    (out / 'table.txt').write_text(text)
    print(text, flush=True)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument('--project', default='.')
    parser.add_argument('--out', required=True)
    parser.add_argument(
        '--data', default='', help='folder of prepared TFDS data; empty: random images, no pilot'
    )
    parser.add_argument('--seconds', type=float, default=530)
    parser.add_argument('--parts', default='', help=f'of {", ".join([*PARTS, *EXTRA])}')
    parser.add_argument('--smoke', action='store_true', help='tiny sizes, on a CPU')
    parser.add_argument(
        '--scratch',
        default=os.path.join(os.environ.get('TMPDIR', '/tmp'), 'measure'),
        help='for runs and the compilation cache',
    )
    return parser.parse_args()


def work(group, values, results, end, limits, waiting):
    """Run the parts of a group in one worker; returns those that are done or given up (the rest
    wants a new worker)."""
    kept = sum(seconds for name, seconds in KEEP.items() if name in waiting and name not in group)
    if not values.smoke and end - time.time() - kept < 15:
        write(
            results,
            {
                'part': group[0],
                'skipped': f'{end - time.time():.0f} s left, {kept} s of them kept for later parts',
            },
        )
        return group[:1]
    environment = {**os.environ, 'PYTHONUNBUFFERED': '1', 'MEASURE_END': str(end)}
    scratch = Path(values.scratch)
    scratch.mkdir(parents=True, exist_ok=True)
    environment.setdefault('JAX_COMPILATION_CACHE_DIR', str(scratch / 'jax_cache'))
    environment.setdefault('JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS', '0')
    environment.setdefault('JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES', '-1')
    environment.setdefault('XLA_PYTHON_CLIENT_MEM_FRACTION', '0.90')
    kind = limits[group[0]][1]
    if values.smoke:
        environment['JAX_PLATFORMS'] = 'cpu'
        environment['XLA_FLAGS'] = (
            '--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true'
        )
    elif kind != 'cli':
        environment['XLA_FLAGS'] = FLAGS.get(group[0], '')
    if kind == 'cli':
        return command(group[0], values, results, end, limits, environment, kept)
    script = KIT / ('torch_peer.py' if kind == 'torch' else 'parts.py')
    python = os.environ.get('TORCH_PYTHON', sys.executable) if kind == 'torch' else sys.executable
    if kind == 'torch':  # its own site-packages: the carried wheels are JAX's side
        environment.pop('PYTHONPATH', None)
    call = [
        python,
        str(script),
        '--parts',
        ','.join(group),
        '--results',
        str(results),
        '--project',
        values.project,
        '--data',
        values.data,
    ] + ['--smoke'] * values.smoke
    log = open(results.parent / 'worker.log', 'ab')
    before = len(read(results))
    process = subprocess.Popen(
        call, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )
    began, running, why = time.time(), None, None
    while process.poll() is None:
        time.sleep(0.5)
        own = read(results)[before:]
        started = [line for line in own if line.get('event') == 'start']
        if started and started[-1]['part'] != running:
            running, began = started[-1]['part'], started[-1]['time']
        part = running or group[0]
        kept = sum(
            s
            for name, s in KEEP.items()
            if name in waiting and limits[name][1] != kind and name != part
        )
        most = limits[part][0] * (20 if values.smoke else 1) + (0 if running else 45)
        if any(line.get('event') == 'end' and line['part'] == part for line in own):
            most += 5
        if time.time() - began > most or not values.smoke and time.time() > end - kept:
            why = (
                f'stopped after {time.time() - began:.0f} s (limit {most} s,'
                f' {end - time.time():.0f} s left, {kept} kept)'
            )
            stop(process)
    log.close()
    own = read(results)[before:]
    ended = {line['part'] for line in own if line.get('event') == 'end'}
    if process.returncode != 0 or why:
        part = (
            running
            if running and running not in ended
            else next((name for name in group if name not in ended), None)
        )
        if part is not None:
            tail = (results.parent / 'worker.log').read_bytes()[-1500:].decode(errors='replace')
            write(
                results,
                {
                    'part': part,
                    'error': why or f'worker ended with {process.returncode}',
                    'log': tail,
                },
            )
            ended.add(part)
    return [name for name in group if name in ended] or group[:1]


def command(part, values, results, end, limits, environment, kept):
    """A command of the project itself, as a user types it."""
    out, scratch = results.parent, Path(values.scratch)
    environment['PYTHONPATH'] = os.pathsep.join(
        filter(None, [values.project, environment.get('PYTHONPATH', '')])
    )
    seconds = min(limits[part][0], end - time.time() - kept - 3)
    workdir = scratch / part
    if part == 'gaussian':
        call = [
            '-m',
            'mi_ssl_jax.reproduce',
            'gaussian',
            f'--seeds={2 if values.smoke else 12}',
            f'--workdir={workdir}',
        ]
        call += ['--methods=jmi', '--epochs=3'] if values.smoke else []
    elif part == 'pilot':
        if not values.data:
            write(results, {'part': part, 'skipped': 'no prepared data'})
            return [part]
        epochs = read_epochs(results, seconds, values.smoke)
        call = [
            '-m',
            'mi_ssl_jax.main',
            '--config=configs/jmi_cifar10.py',
            f'--workdir={workdir}',
            f'--config.epochs={epochs}',
            f'--config.mi.every={max(1, epochs // 4)}',
            '--config.probe.online=True',
            '--config.probe.at_end=False',
            "--config.probe.labels=('all',)",
            '--config.log_every=97',
            '--config.net.dtype=bfloat16',
            '--config.checkpoint.best=none',
        ]
        if any(line.get('device') == 'cpu' for line in read(results)) and not values.smoke:
            call += [
                '--config.net.name=conv4',
                '--config.net.dtype=float32',
                '--config.data.limit=10000',
                '--config.mi.examples=2000',
                '--config.log_every=19',
            ]
        if values.smoke:
            call += [
                '--config.net.name=conv4',
                '--config.net.options.conv4.width=4',
                '--config.net.projector=(8,4)',
                '--config.data.limit=256',
                '--config.batch_size=64',
                '--config.mi.examples=64',
                '--config.mode=scan',
            ]
    else:
        if not (scratch / 'pilot' / 'checkpoints').exists():
            write(results, {'part': part, 'skipped': 'no pilot'})
            return [part]
        call = ['-m', 'mi_ssl_jax.probe', f'--workdir={scratch / "pilot"}']
    if any('nknown flag' in line.get('log', '') for line in read(results)):
        environment['XLA_FLAGS'] = ''
    if values.data:
        environment['TFDS_DATA_DIR'] = values.data
    write(results, {'part': part, 'event': 'start', 'time': time.time()})
    began = time.time()
    log = out / 'cli.log'  # one for all: at most 8 files come back from the device machine
    behind = log.stat().st_size if log.exists() else 0
    with open(log, 'ab') as file:
        file.write(f'== {part}: {" ".join(call)}\n'.encode())
        file.flush()
        process = subprocess.Popen(
            [sys.executable, *call],
            env=environment,
            cwd=values.project,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(timeout=seconds * (20 if values.smoke else 1))
        except subprocess.TimeoutExpired:
            stop(process, gently=part == 'pilot')
            code = 'time limit'
    said = log.read_bytes()[behind:].decode(errors='replace')
    found = {
        'part': part,
        'seconds': round(time.time() - began, 1),
        'status': code,
        'log': said[-1500:],
        'command': ' '.join(call),
    }
    if (
        code != 0 and 'nknown flag' in said and 'XLA_FLAGS' not in environment
    ):  # the project's own, for CPUs: a finding
        write(
            results,
            {
                **found,
                'error': (
                    "the device's plugin refuses the project's XLA_FLAGS"
                    ' (mi_ssl_jax/cli/cpu_tuning.py)'
                ),
            },
        )
        return command(part, values, results, end, limits, environment, kept)
    if part == 'probe':  # encoder, probe, labels, top-1 %
        rows = [
            line.split()
            for line in said.splitlines()
            if line.split()[1:3] in (['linear', 'all'], ['kNN', 'all'])
        ]
        rows += [
            line.split()[2:] for line in said.splitlines() if line.startswith('untrained encoder')
        ]
        found['top1_%'] = {' '.join(row[:2]): float(row[3]) for row in rows if len(row) > 3}
    if part == 'pilot':
        found |= pilot(workdir, epochs)
        for name in ('metrics.jsonl', 'timing.jsonl'):
            if (workdir / name).exists():
                (out / f'pilot_{name}').write_bytes((workdir / name).read_bytes())
    if part == 'gaussian':
        found['methods_done'] = sum(1 for _ in workdir.glob('*/metrics.jsonl'))
    write(results, found)
    write(results, {'part': part, 'event': 'end', 'time': time.time()})
    return [part]


def read_epochs(results, seconds, smoke):
    if smoke:
        return 2
    planned = [line['pilot_epochs'] for line in read(results) if 'pilot_epochs' in line]
    return planned[-1] if planned else max(8, int(0.6 * seconds / 2.5))


def pilot(workdir, epochs):
    """Return the speed that a run's own files show: seconds by epoch, and the gap to the views/s of
    the bench.
    """
    try:
        timing, metrics = (
            [json.loads(line) for line in (workdir / name).read_text().splitlines()]
            for name in ('timing.jsonl', 'metrics.jsonl')
        )
        timing = timing[: len(metrics)]  # the time after the last log point is no step's
    except OSError as error:
        return {'error': str(error)}
    steps = [
        b['seconds'] - a['seconds']
        for a, b in zip(timing[1:], timing[2:])
        if 'mi' not in dict(metrics[timing.index(b)])
    ]
    evaluated = [
        b['seconds'] - a['seconds']
        for a, b in zip(timing[1:], timing[2:])
        if 'mi' in dict(metrics[timing.index(b)])
    ]
    last = metrics[-1]
    found = {
        'epochs_planned': epochs,
        'epochs_done': last['epoch'],
        'first_line_s': timing[0]['seconds'],
        'first_epoch_s': timing[1]['seconds'] - timing[0]['seconds'] if len(timing) > 1 else None,
        'epoch_s': statistics.median(steps) if steps else None,
        'epoch_with_evaluation_s': statistics.median(evaluated) if evaluated else None,
        'online_top1': last.get('online_top1'),
        'loss': last.get('loss'),
    }
    mi = [line['mi'] for line in metrics if 'mi' in line]
    return found | {'mi': mi[-1] if mi else None}


def stop(process, gently=False):
    for number in ([signal.SIGTERM] if gently else []) + [signal.SIGKILL]:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        try:
            process.wait(timeout=20)
            return
        except subprocess.TimeoutExpired:
            continue


def write(results, entry):
    with open(results, 'a') as file:
        file.write(json.dumps(entry) + '\n')
        file.flush()
        os.fsync(file.fileno())
    if entry.get('event') is None:
        shown = {key: value for key, value in entry.items() if key != 'log'}
        print(f'[{time.strftime("%H:%M:%S")}] {json.dumps(shown)[:400]}', flush=True)


def read(results):
    if not results.exists():
        return []
    lines = []
    for line in results.read_text().splitlines():
        with contextlib.suppress(ValueError):  # half a line, of a worker that was killed
            lines.append(json.loads(line))
    return lines


class Clock(threading.Thread):
    """Reads clocks, power and memory every two seconds. It reads; nothing is set."""

    FIELDS = (
        'timestamp,clocks.sm,clocks.mem,power.draw,temperature.gpu,utilization.gpu,memory.used,'
        'clocks_event_reasons.active'
    )

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path, self.rows, self._on = path, [], True
        self.start()

    def run(self):
        while self._on:
            try:
                line = subprocess.run(
                    ['nvidia-smi', f'--query-gpu={self.FIELDS}', '--format=csv,noheader,nounits'],
                    capture_output=True,
                    text=True,
                    timeout=10,
                ).stdout.strip()
            except (OSError, subprocess.TimeoutExpired):
                return
            if line:
                self.rows.append((time.time(), line.split('\n')[0]))
                with open(self.path, 'a') as file:
                    file.write(f'{time.time():.1f},{line}\n')
            time.sleep(2)

    def stop(self):
        self._on = False

    def between(self, start, end):
        """Median SM clock (MHz) and power (W) of the busy samples."""
        busy = [row.split(', ') for when, row in self.rows if start <= when <= end]
        busy = [row for row in busy if len(row) > 5 and row[5].isdigit() and int(row[5]) > 50]
        number = lambda column: statistics.median(float(row[column]) for row in busy)
        return f'{number(1):.0f} MHz {number(3):.0f} W' if busy else ''


def table(results, clock, seconds):
    """A short table; the file holds the rest."""
    lines = read(results)
    spans, errors, rows = {}, [], []
    for line in lines:
        if line.get('event') in ('start', 'end'):
            spans.setdefault(line['part'], {})[line['event']] = line['time']
        elif 'error' in line or 'skipped' in line:
            errors.append(f'{line["part"]}: {line.get("error") or "skipped: " + line["skipped"]}')
        if line.get('event') is None:
            rows.append(line)
    text = [f'== {seconds:.0f} s; files: {results.parent} ==']
    for line in rows:
        own = {
            key: value
            for key, value in line.items()
            if key not in ('part', 'log', 'rounds', 'command', 'trace')
        }
        shown = ', '.join(f'{key} {short(value)}' for key, value in own.items())
        text.append(f'{line["part"]:9} {shown[:420]}')
    text.append(
        'parts (s, clock under load): '
        + ', '.join(
            f'{name} {own.get("end", own["start"]) - own["start"]:.0f}'
            f' {clock.between(own["start"], own.get("end", 1e12))}'.strip()
            for name, own in spans.items()
            if 'start' in own
        )
    )
    text += ['FAILED OR SKIPPED: ' + (' | '.join(errors) if errors else 'none')]
    return '\n'.join(text) + '\n'


def short(value):
    if isinstance(value, float):
        return f'{value:,.0f}' if abs(value) >= 1000 else f'{value:.4g}'
    if isinstance(value, dict):
        return '{' + ', '.join(f'{key} {short(own)}' for key, own in value.items()) + '}'
    if isinstance(value, list):
        return '[' + ' '.join(map(short, value)) + ']'
    return str(value)


if __name__ == '__main__':
    main()
