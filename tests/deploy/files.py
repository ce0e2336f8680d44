"""Parsed deployment files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.support.doc_pages import ROOT
from tidewaiter.bootstrap.start_checks import faults_of
from tidewaiter.config import Config, load

DEPLOY = ROOT / "config/deploy"
UID = 65532


def documents(path: Path) -> list[dict[str, Any]]:
    """The documents of a YAML file."""
    return [one for one in yaml.safe_load_all(path.read_text()) if one is not None]


def secrets_in(configuration: Path) -> set[Path]:
    """The files that a configuration reads secrets from."""
    return {Path(name) for name in re.findall(r'^\w+_file = "([^"]+)"', configuration.read_text(), re.MULTILINE)}


def loaded(configuration: Path, folder: Path) -> Config:
    """A configuration that a daemon would start with; its secrets are made up, each in a file of the folder."""
    text = configuration.read_text()
    for number, secret in enumerate(sorted(secrets_in(configuration))):
        stand_in = folder / secret.name
        is_url = secret.name == "database_url"
        stand_in.write_text("postgresql://tidewaiter:s@postgres/tidewaiter" if is_url else f"{number}" * 40)
        text = text.replace(str(secret), str(stand_in))
    path = folder / "tidewaiter.toml"
    path.write_text(text)
    config = load(path, {})
    assert faults_of(config) == ()
    return config


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile's instructions, each with what stands behind it, continued lines joined."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for line in text.replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            yield name, rest.strip()
