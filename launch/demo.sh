#!/usr/bin/env bash
# The main job: sets up, then SDMI and JMI on the paper's Gaussian mixture (Table 2, Figures 3, 5, 6) and on digits.
#   bash launch/demo.sh   under ten minutes on two CPU cores; run again, it finds everything done and redraws
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
bash launch/setup.sh
python=.venv/bin/python
$python -m mi_ssl_jax.reproduce gaussian --methods=sdmi,jmi --seeds=6 --workdir=runs/demo_gaussian
for method in jmi sdmi; do
    $python -m mi_ssl_jax.main --config=configs/${method}_digits.py --config.seeds=3 --workdir=runs/demo_${method}_digits
done
echo "pictures:"
find runs/demo_* -name '*.png' | sort
