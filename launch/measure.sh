#!/usr/bin/env bash
# Measures the project's speed on this machine, in at most 10 minutes:
#   bash launch/measure.sh [--smoke] [--parts=a,b] [--seconds=530]
# Parts run in the order of their worth, each with a time limit of its own; a slow or failing one
# stops no other. Results go to $OUT (default runs/measure): results.jsonl (every number, written
# at once), table.txt, clocks.csv, worker.log, cli.log, pilot_*.jsonl.
# More parts, by name: gaussian,micro,pad,seeds3,xla:lhs,xla:nograph,xla:notriton,xla:det.
# DATA: a folder of prepared TFDS data that has cifar10; without it images are synthetic and the
# pilot is left out. WHEELS: a folder of wheels to install first, for a machine without a network
# (collect them with launch/measuring/collect_wheels.sh). PYTHON: the interpreter (default: .venv's,
# else python3).
set -uo pipefail
project=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${OUT:-$project/runs/measure}; scratch=${SCRATCH:-${TMPDIR:-/tmp}/measure}
python=${PYTHON:-$project/.venv/bin/python}
[ -x "$python" ] || python=$(command -v python3)
mkdir -p "$out" "$scratch"; export PYTHONUNBUFFERED=1
if [ -n "${WHEELS:-}" ]; then
    [ -d "$scratch/site" ] || "$python" -m pip install -q --no-index --no-deps --no-compile \
        --no-cache-dir --upgrade --target "$scratch/site" "$WHEELS"/*.whl ||
        { echo 'error: the wheels cannot be installed' >&2; exit 1; }
    export PYTHONPATH=$scratch/site${PYTHONPATH:+:$PYTHONPATH}
fi
exec "$python" "$project/launch/measuring/run.py" --project="$project" --out="$out" \
    --data="${DATA:-}" --scratch="$scratch" "$@"
