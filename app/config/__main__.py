"""Prints the page ``docs/configuration.md``: ``python -m app.config``."""

import sys

from app.config.reference import reference

sys.stdout.write(reference())
