"""The built-in providers and published conventions, tested with whole daemons against small servers."""
