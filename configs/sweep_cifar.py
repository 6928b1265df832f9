r"""The paper's search on CIFAR-10 and CIFAR-100 (Tables 3 and 4): 192 runs a data set, then two
more stages.

A run is the flags of one command, {'config': file, 'config.lr': 0.01, ...}; the first of SDMI on
CIFAR-10 is

python -m mi_ssl_jax.main --config=configs/sdmi_cifar10.py --config.seed=7349 --config.epochs=300 \\
    --config.lr=0.01 --config.weight_decay=1e-4 --config.net.projector='(2048, 128)' \\
    --config.method.temperature=0.05

`grid` lists the first stage; `second_stage` repeats a method's best run with three projection
layers; `final`
trains the better of the two for 1000 epochs: a row of Table 5. The paper does not say what makes a
run best; our choice is the linear probe.
"""

METHODS = ('sdmi', 'simsiam', 'byol', 'mocov3', 'jmi', 'simclr', 'barlow', 'vicreg')
DATA = ('cifar10', 'cifar100')
WITH_TEMPERATURE = ('sdmi', 'mocov3', 'jmi', 'simclr')
FEATURES = 2048  # hidden width of the projector


def grid(method: str, data: str) -> list[dict]:
    """List all runs of a method on a data set (Table 3): 36 with a temperature, 12 without."""
    fixed = {'config': f'configs/{method}_{data}.py', 'config.seed': 7349, 'config.epochs': 300}
    runs = [
        {
            **fixed,
            'config.lr': lr,
            'config.weight_decay': decay,
            'config.net.projector': (FEATURES, width),
        }
        for lr in (0.01, 0.03, 0.05)
        for decay in (1e-4, 5e-4)
        for width in (128, 256)
    ]
    if method not in WITH_TEMPERATURE:
        return runs
    return [
        {**run, 'config.method.temperature': value} for run in runs for value in (0.05, 0.07, 0.1)
    ]


def second_stage(best: dict) -> dict:
    """A method's best run of the grid, with three projection layers instead of two."""
    width = best['config.net.projector'][-1]
    return {**best, 'config.net.projector': (FEATURES, FEATURES, width)}


def final(winner: dict) -> dict:
    """The better of a method's best run and its second stage, for 1000 epochs."""
    return {**winner, 'config.epochs': 1000}
