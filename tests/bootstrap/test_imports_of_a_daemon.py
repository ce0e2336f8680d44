"""What a daemon does not import before it is used: each of these costs memory and time at every start."""

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

# The upgrade of a database, pages, buckets, PostgreSQL, tables for people, and what is for other processes.
_LATE: Final = frozenset(
    {
        "alembic",
        "mako",
        "jinja2",
        "obstore",
        "psycopg",
        "botocore",
        "rich",
        "multiprocessing",
        "tidewaiter.client",
        "tidewaiter.emulators",
        "tidewaiter.cli.doctor",
        "tidewaiter.providers.examples",
        "tidewaiter.providers.reference",
    }
)
_CONFIG: Final = """
[database]
url = "sqlite:///{folder}/jobs.db"
[storage]
root = "{folder}/exports"
[http]
listen = "127.0.0.1:0"
[accounts.shop]
provider = "symplify"
[accounts.shop.settings]
server = "https://example.invalid"
customer_id = "1"
token = "not-a-secret"
"""
_SERVE: Final = """
import sys
from tidewaiter.cli.main import main
try:
    main(sys.argv[1:])
finally:
    print("imported", *sys.modules)
"""


@pytest.mark.slow
def test_what_is_not_used_is_not_imported(tmp_path: Path) -> None:
    """A daemon with an account on SQLite that has served for a moment, with a database that needs no upgrade."""
    config = tmp_path / "tidewaiter.toml"
    config.write_text(_CONFIG.format(folder=tmp_path))
    command = [sys.executable, "-c", _SERVE, "--config", str(config)]
    subprocess.run([*command, "db", "upgrade"], check=True, capture_output=True, timeout=60)
    imported: set[str] = set()
    with subprocess.Popen([*command, "serve"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as daemon:
        assert daemon.stdout is not None
        for line in daemon.stdout:
            if '"lane.taken"' in line:
                daemon.terminate()
            if line.startswith("imported"):
                imported = set(line.split())
    assert daemon.returncode == 0
    assert not imported & _LATE
    assert "tidewaiter.worker.lane" in imported
