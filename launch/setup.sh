#!/usr/bin/env bash
# Makes .venv from the lock of this machine's Python and installs the project into it; does nothing when all is up to date.
#   bash launch/setup.sh                    takes the first Python with a lock: an existing .venv's own, 3.11, 3.12, 3.13
#   PYTHON=python3.12 bash launch/setup.sh  takes that one
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
log=.cache/setup.log

fail() { echo "set-up: $1" >&2; exit 1; }

tag_of() { "$1" -c 'import sys; print("py%d%d" % sys.version_info[:2])' 2>/dev/null; }

stamp_of() {  # all that decides what .venv holds; a virtual environment cannot be moved, so its place counts too
    { cat pyproject.toml launch/setup.sh launch/lock/build.txt "launch/lock/$1.txt" && pwd; } | cksum
}

up_to_date() {  # up_to_date [PYTHON]
    local tag
    tag=$(tag_of .venv/bin/python) || return 1
    [ -z "${1:-}" ] || [ "$(tag_of "$1")" = "$tag" ] || return 1
    [ -f .venv/stamp ] && [ -f "launch/lock/$tag.txt" ] && [ "$(cat .venv/stamp)" = "$(stamp_of "$tag")" ]
}

choose_python() {  # sets python and tag: the first candidate that runs, has a lock and can make virtual environments
    local candidates=(python3.11 python3.12 python3.13 python3) seen=''
    [ -z "${PYTHON:-}" ] || candidates=("$PYTHON")
    for python in "${candidates[@]}"; do
        tag=$(tag_of "$python") || continue  # a version manager's shim may exist and not run
        if [ ! -f "launch/lock/$tag.txt" ]; then
            seen="$python is Python ${tag:2:1}.${tag:3}, for which launch/lock has no lock"
        elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
            seen="$python cannot make virtual environments; install its venv module (Debian: python${tag:2:1}.${tag:3}-venv)"
        else
            return 0
        fi
    done
    fail "${seen:-${PYTHON:-Python} was not found}; needed is Python 3.11, 3.12 or 3.13 (or name one: PYTHON=/path/to/python)"
}

install() {
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-input --no-deps --no-build-isolation "$@" \
        >>"$log" 2>&1 || fail "$(install_error)"
}

install_error() {
    if grep -qE 'ConnectionError|ConnectTimeout|ProxyError|No matching distribution' "$log"; then
        echo "a package is neither in pip's cache nor to be had from its index; is the network down? (pip's words: $log)"
    elif grep -q 'No space left on device' "$log"; then
        echo "the disk is full; .venv takes about 1.5 GB ($PWD)"
    else
        echo "pip failed: $({ grep -iE '^ *[a-z]*error:' "$log" || cat "$log"; } | tail -n 1) (all of it: $log)"
    fi
}

up_to_date "${PYTHON:-}" && exit 0
mkdir -p .cache 2>/dev/null && : 2>/dev/null >"$log" || fail "$PWD is not writable"
exec 9>.cache/setup.lock
if command -v flock >/dev/null; then
    flock 9  # two commands started at once: the second waits and finds the work done
    up_to_date "${PYTHON:-}" && exit 0
fi
choose_python
echo "set-up: making .venv with Python ${tag:2:1}.${tag:3} (a minute or two)" >&2
rm -rf .venv  # a half-finished or outdated one
"$python" -m venv .venv >>"$log" 2>&1 || fail "$python -m venv failed: $(tail -n 1 "$log")"
install --require-hashes -r launch/lock/build.txt
install --require-hashes -r "launch/lock/$tag.txt"
install --editable .
stamp_of "$tag" >.venv/stamp
