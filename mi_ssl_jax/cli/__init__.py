"""How commands start and end."""
