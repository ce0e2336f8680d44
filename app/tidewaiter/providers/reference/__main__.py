"""Prints the page ``docs/providers/reference.md``: ``python -m tidewaiter.providers.reference``."""

import sys

from tidewaiter.providers.reference.page import reference

sys.stdout.write(reference())
