"""Prints the page ``docs/configuration.md``: ``python -m tidewaiter.config``."""

import sys

from tidewaiter.config.reference import reference

sys.stdout.write(reference())
