"""The status page, rendered and in a real browser."""
