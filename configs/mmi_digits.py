"""Explicit mutual information maximisation on handwritten digits.

The loss and its parts are from the public text of arXiv 2409.04747, their settings inferred, since
neither code nor full text is public (mi_ssl_jax/methods/mmi.py); what the digits' configurations
share is ours.

python -m mi_ssl_jax.main --config=configs/mmi_digits.py
"""

from configs.base import digits


def get_config():
    return digits.base('mmi', momentum=0.99)
