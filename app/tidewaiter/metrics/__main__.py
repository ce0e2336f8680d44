"""``python -m tidewaiter.metrics`` prints the page ``docs/metrics.md``."""

import sys

from tidewaiter.metrics.metrics_page import render

sys.stdout.write(render())
