"""The information in an encoder: python -m mi_ssl_jax.readout --weights=FILE.safetensors|DIR|RUN
[--config=configs/NAME.py] [--workdir=DIR]

How much two views of the data share in it, by several bounds, whether it has collapsed, its rank,
its probes; nothing is trained but critics and probes. The configuration gives data, views, mi and
probe (default: the run's own); network and normalisation come from the weights. The folder that is
made is a run's before its first step: probe, embed, estimate_mi and export take it.
"""

import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags as ml_flags

from mi_ssl_jax.cli import config_file, estimates, guard


def options() -> flags.FlagValues:
    """The flags of the command line. ValueError, in one line, for wrong ones."""
    own = flags.FlagValues()
    ml_flags.DEFINE_config_file('config', None, 'A file in configs/.', flag_values=own)
    for name, use in (
        ('weights', 'A .safetensors file, an exported folder or the folder of a run.'),
        ('workdir', 'The folder to make; default runs/readout_<name of the weights>.'),
        (
            'branch',
            "Of a run, the encoder (default: the first that is trained; SDMI's: theta, xi).",
        ),
    ):
        flags.DEFINE_string(name, None, use, flag_values=own)
    flags.DEFINE_bool('best', False, "Of a run, the best checkpoint's.", flag_values=own)
    flags.DEFINE_list('bounds', 'infonce,dv,nwj,club', 'Of estimate_mi.', flag_values=own)
    flags.DEFINE_integer('fits', 5, 'Critics of each bound.', flag_values=own)
    flags.DEFINE_integer('steps', 2000, 'Of a fit, at most.', flag_values=own)
    config_file.parse(own, sys.argv, usage=__doc__)
    if own.weights is None:
        raise ValueError('no weights: give --weights=FILE.safetensors, a folder or a run')
    return own


def main() -> None:
    """Read out, and print the figures."""
    own = options()
    from mi_ssl_jax.runs import readout  # imports JAX

    path = Path(own.weights)
    workdir = Path(own.workdir or f'runs/readout_{path.resolve().stem}')
    chosen = {'branch': own.branch, 'best': own.best}
    amount = {'bounds': own.bounds, 'fits': own.fits, 'steps': own.steps}
    config = readout.configuration(path) if own.config is None else own.config
    found = readout.run(config, path, workdir, **chosen, **amount)
    if found.learned:
        print(estimates.table(found.learned), *estimates.remarks(found.learned), sep='\n')
    print(readout.text(found), readout.probed(workdir), f'wrote {workdir / "report.md"}', sep='\n')


if __name__ == '__main__':
    sys.exit(guard.guard(main))
