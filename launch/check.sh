#!/usr/bin/env bash
# What needs no test to run: format, lint, types, repetition. Seconds after set-up.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash launch/setup.sh
echo "format"; .venv/bin/ruff format --check --quiet .
echo "lint"; .venv/bin/ruff check --quiet .
echo "types"; .venv/bin/mypy --no-error-summary
echo "repetition"; .venv/bin/pylint --disable=all --enable=R0801 --min-similarity-lines=10 \
    --ignore-imports=y --ignore-docstrings=y --ignore-signatures=y --score=n mi_ssl_jax
