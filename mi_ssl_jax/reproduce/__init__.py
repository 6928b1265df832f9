"""The paper's tables and figures by command: python -m mi_ssl_jax.reproduce gaussian --seeds=12"""
