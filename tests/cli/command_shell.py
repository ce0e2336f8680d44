"""A folder with a configuration in which tests run commands."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tests.support.machine_times import other_times
from tidewaiter.cli.main import main

ROOT = Path(__file__).parents[2]
CONFIG = """
[storage]
root = "landed"
[worker]
lookout_s = 0.2
drain_s = 5
[accounts.shop]
provider = "symplify"
allow_private = true
[accounts.shop.settings]
server = "http://127.0.0.1:9"
customer_id = "5004"
token = "canary-token"
[accounts.shop.schedule]
first_delay_s = 0.1
interval_s = 0.2
factor = 1
[accounts.shop.limits]
requests = 1000
"""


class CommandShell:
    """A folder in which commands are run, with a configuration in ``tidewaiter.toml``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "tidewaiter.toml"
        self.config.write_text(CONFIG)

    def __call__(self, *arguments: str, code: int = 0) -> Result:
        """Run a command in this process; it must end with that exit code."""
        result = CliRunner().invoke(main, arguments, prog_name="tidewaiter")
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.output
        return result

    def json(self, *arguments: str, code: int = 0) -> Any:
        """What a command prints as JSON; its times are written as everywhere."""
        document = json.loads(self(*arguments, "--json", code=code).stdout)
        assert not list(other_times(document))
        return document

    @contextmanager
    def process(self, *arguments: str) -> Iterator[subprocess.Popen[str]]:
        """Run a command as a process of its own, which has ended when the block is left."""
        with start(self.folder, arguments) as process:
            try:
                yield process
            finally:
                process.kill()


def start(folder: Path, arguments: Sequence[str]) -> subprocess.Popen[str]:
    """A command as a process of its own, with its output as text."""
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "tidewaiter.cli.main", *arguments],
        cwd=folder,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
