"""Table 3's grid on handwritten digits with their small network: 36 runs for JMI.

python launch/sweep.py configs/sweep_digits.py --method=jmi

Learning rates, weight decays, temperatures, seed and the two projection layers are the paper's.
Widths and lengths are of the digits' own scale: hidden 128 for 2048, out 64 and 128 for 128 and
256; 40 epochs for 300,
150 for 1000. So that the 36 take minutes: 308 s of processor time, compilations and probes
included.
"""

from configs import sweep_cifar

METHODS = sweep_cifar.METHODS
DATA = ('digits',)
FEATURES = 128  # hidden width of the projector
EPOCHS, FINAL_EPOCHS = 40, 150


def grid(method: str, data: str) -> list[dict]:
    """List all runs of a method: 36 with a temperature, 12 without."""
    return [
        {
            **run,
            'config.epochs': EPOCHS,
            'config.net.projector': (FEATURES, run['config.net.projector'][-1] // 2),
        }
        for run in sweep_cifar.grid(method, data)
    ]


def second_stage(best: dict) -> dict:
    """A method's best run of the grid, with three projection layers instead of two."""
    return {**best, 'config.net.projector': (FEATURES, FEATURES, best['config.net.projector'][-1])}


def final(winner: dict) -> dict:
    """The better of a method's best run and its second stage, as long as the digits'
    configurations.
    """
    return {**winner, 'config.epochs': FINAL_EPOCHS}
