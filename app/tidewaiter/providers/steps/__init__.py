"""The steps of an operation, compiled once from its spec."""
