"""Evaluation: functions of arrays (embeddings, features, labels) that see no configuration and no training state."""
