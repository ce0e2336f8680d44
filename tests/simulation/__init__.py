"""A year of operation in seconds: the real daemon on a virtual clock, an inline database and emulated providers."""
