#!/usr/bin/env bash
# Sets up, then runs the tests. Further arguments go to pytest.
#   bash launch/test.sh          the fast tier, minutes
#   bash launch/test.sh --unit   maths, golden values and the import law: a minute
#   bash launch/test.sh --all    every test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tier=(-m "not slow")
case "${1:-}" in
    --unit) tier=(-m unit); shift ;;
    --all) tier=(); shift ;;
esac
bash launch/setup.sh
export JAX_PLATFORMS=${JAX_PLATFORMS:-cpu}
exec .venv/bin/python -m pytest -q --durations=10 --numprocesses=auto --dist=loadfile "${tier[@]}" "$@"
