"""What `mi_ssl_jax.bench` measures, and how: timing, programs, costs, made-up data, the peer, the
table."""
