"""One page that compares runs: table, curves, pictures and embeddings, from the runs' files."""
