"""One run and its folder, from the start to the report."""
