"""Configuration files for tests: a full one, a function that writes one, and one that returns its faults."""

import re
from pathlib import Path

import pytest

from tidewaiter.config import ConfigError, ConfigFault, load

FULL = """
[database]
url = "postgresql://tide:s3cr%23t-word@db.example/tide"
[storage]
root = "landed"
[worker]
lease_s = 5
polls = 8
[retention]
finished_days = 7
[log]
format = "json"
level = "debug"
[providers]
folders = ["specs", "/etc/tidewaiter/specs"]

[accounts.shop]
provider = "symplify"
allow_private = true
clean = false
shards = 2
[accounts.shop.settings]
server = "https://eu.example"
customer_id = "5004"
token_file = "token"
[accounts.shop.limits]
requests = 1
period_s = 60
[accounts.shop.schedule]
interval_s = 2.5
cap_s = 60
"""


def write(folder: Path, text: str) -> Path:
    """A configuration file in that folder."""
    path = folder / "tidewaiter.toml"
    path.write_text(text)
    return path


def faults_of(path: Path, **environ: str) -> dict[str, ConfigFault]:
    """The faults of a configuration that must not load, by their key."""
    with pytest.raises(ConfigError) as caught:
        load(path, environ)
    return {fault.key: fault for fault in caught.value.faults}


def uncommented(text: str) -> str:
    """The text with every line switched on that shows a key or a header."""
    return re.sub(r"(?m)^#(?=[\[\w\"])(?!:schema)", "", text)
