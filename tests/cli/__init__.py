"""The command line, run in this process or as real ones, on real databases and emulated providers."""
