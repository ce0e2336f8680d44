"""A daemon that counts: ``python -m tests.bench.counted_database COUNTS ARGUMENTS`` is ``tidewaiter ARGUMENTS``.

At its end it writes what it asked of its database to the file COUNTS, as JSON.
"""

import json
import sys
from pathlib import Path

from tests.support.database_counts import counting
from tidewaiter.cli.main import main

if __name__ == "__main__":
    _counts_path = Path(sys.argv.pop(1))
    with counting() as _counts:
        try:
            main()
        finally:
            _counts_path.write_text(json.dumps(_counts.as_dict()))
