"""Pictures, tables and reports from a run's files, by numpy and matplotlib alone: JAX is not
needed.
"""
