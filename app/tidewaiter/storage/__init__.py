"""Where files land: whole or not at all."""
