#!/usr/bin/env bash
# Collects the wheels that a GPU machine without a network lacks (Python 3.12):
#   bash launch/measuring/collect_wheels.sh [FOLDER, default .whl]
# Then WHEELS=FOLDER bash launch/measure.sh there, which installs them with --no-deps --target.
# Versions are pinned: two versions of one package stop the whole install. PYTHON: a pip to use (default python3).
set -euo pipefail
folder=${1:-.whl}; python=${PYTHON:-python3}
mkdir -p "$folder"
packages=(
  tensorflow-datasets==4.9.10 grain==0.2.18 array_record==0.8.6 ml_collections==1.1.0
  importlib_resources==7.1.0 toml==0.10.2 dm-tree==0.1.10 immutabledict==4.3.1
  tensorflow-metadata==1.21.0 termcolor==3.3.0 portpicker==1.6.0
)
[ -n "${UNPINNED:-}" ] && packages=("${packages[@]%%==*}")
platforms=(); for tag in manylinux_2_39 manylinux_2_35 manylinux_2_34 manylinux_2_31 manylinux_2_28 manylinux_2_27 manylinux_2_24 manylinux_2_17 manylinux2014 manylinux1; do
  platforms+=(--platform "${tag}_x86_64"); done
"$python" -m pip download -q --no-deps --only-binary=:all: --python-version 3.12 --implementation cp \
  --abi cp312 --abi abi3 --abi none "${platforms[@]}" -d "$folder" "${packages[@]}"
# promise is published as a source archive alone: its wheel is pure Python and made here. Without build isolation's
# network needs it takes setuptools and wheel from pip's own index.
ls "$folder"/promise-*.whl >/dev/null 2>&1 || "$python" -m pip wheel -q --no-deps --no-cache-dir -w "$folder" promise==2.3
(cd "$folder" && ls -l *.whl | awk '{print $5, $9}' && sha256sum *.whl > SHA256SUMS)
du -sh "$folder"
