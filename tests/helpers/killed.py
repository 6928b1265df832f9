"""Trains a small digits run, saving at every log point: WORKDIR. What test_kills.py kills."""

import sys
from pathlib import Path

from mi_ssl_jax.cli import guard

EPOCHS = 30


def config():
    """A net of width 4, 256 examples, batches of 64: four steps and two log points an epoch."""
    from configs import jmi_digits

    config = jmi_digits.get_config()
    config.update(
        {
            'epochs': EPOCHS,
            'seeds': 1,
            'batch_size': 64,
            'log_every': 2,
            'data': {'limit': 256},
            'mi': {'every': 2},
            'checkpoint': {'minutes': 0.0},
        }
    )
    config.net.options.digits_conv.width = 4
    return config


def main() -> None:
    from mi_ssl_jax.runs import run

    run.run(config(), Path(sys.argv[1]))


if __name__ == '__main__':
    sys.exit(guard.guard(main))
