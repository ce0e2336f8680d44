"""``python -m app.metrics`` prints the page ``docs/metrics.md``."""

import sys

from app.metrics.page import render

sys.stdout.write(render())
