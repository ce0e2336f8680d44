"""Providers as data: a TOML spec describes a remote API; one pure interpreter asks it and reads its replies."""
