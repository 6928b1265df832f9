"""Pure mathematics: critics, bounds on mutual information, second-order statistics, geometry of the
sphere.

Functions of arrays only: no networks, configuration, collectives or files. Half types are computed
in float32, float64 stays float64, matrix products use the highest precision. Mutual information is
in nats.
"""
