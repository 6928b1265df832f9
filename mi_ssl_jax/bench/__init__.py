"""Speed: timing, programs, costs, synthetic data, the table."""
