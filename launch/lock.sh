#!/usr/bin/env bash
# Writes the locks under launch/lock again, one per interpreter given, with the versions they have
# where pyproject.toml still allows them; with UPGRADE=1 with the newest:
#   bash launch/lock.sh python3.11 python3.12 python3.13
# Every file an index offers for a version is hashed; no index address is written into a lock.
set -euo pipefail
[ $# -gt 0 ] || { echo "usage: bash launch/lock.sh PYTHON..." >&2; exit 2; }
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT

compile() {  # compile PYTHON LOCK SOURCE [OPTION...]: pip-tools resolves SOURCE into LOCK
    local python=$1 lock=$2 source=$3
    shift 3
    [ -n "${UPGRADE:-}" ] || [ ! -f "$lock" ] || cp "$lock" "$tools/new"
    echo "# Written by launch/lock.sh; every version pinned, every file hash-checked." >"$tools/lock"
    "$python" -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header \
        --no-emit-options --no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
        --annotation-style=line --output-file="$tools/new" "$@" "$source"
    cat "$tools/new" >>"$tools/lock"
    rm "$tools/new"
    mv "$tools/lock" "$lock"
}

first=1
for interpreter in "$@"; do
    tag=$("$interpreter" -c 'import sys; print("py%d%d" % sys.version_info[:2])')
    "$interpreter" -m venv "$tools/$tag"
    "$tools/$tag/bin/python" -m pip install --quiet --disable-pip-version-check pip-tools
    if [ "$first" = 1 ]; then
        compile "$tools/$tag/bin/python" launch/lock/build.txt launch/lock/build.in
        first=0
    fi
    compile "$tools/$tag/bin/python" "launch/lock/$tag.txt" pyproject.toml --extra=dev --constraint=launch/lock/build.txt
    echo "launch/lock/$tag.txt: $(grep -c '==' "launch/lock/$tag.txt") packages"
done
