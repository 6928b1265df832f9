"""Evaluation: what is watched during training, and probes of frozen features."""
