"""CorInfoMax on handwritten digits: the surrogate beside MMI.

The invariance weight is CIFAR-10's, the projector has no batch norm, as in the source; what the
digits' configurations share is ours.

python -m mi_ssl_jax.main --config=configs/corinfomax_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('corinfomax')
