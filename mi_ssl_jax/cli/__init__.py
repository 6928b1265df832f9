"""Start and end of every command."""
