"""Self-supervised learning as mutual information maximisation, in JAX and Flax."""

__version__ = '0.1.0'
