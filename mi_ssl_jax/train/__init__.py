"""Training: state, optimisers, the one step that serves all methods, the two trainers, the loop,
checkpoints, metrics.
"""
