"""Data sets that are generated or come with a package, and graphs."""
