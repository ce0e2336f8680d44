"""The compose file: its services, secrets and configuration fit together."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

from tests.deploy.files import DEPLOY, documents, loaded, secrets_in
from tests.support.command_lines import fault_of
from tidewaiter.config import host_and_port, load

_FILE: Final = DEPLOY / "compose.yaml"
_CONFIG: Final = DEPLOY / "compose/tidewaiter.toml"
_COMPOSITION: Final[dict[str, Any]] = documents(_FILE)[0]
_SERVICES: Final[dict[str, dict[str, Any]]] = _COMPOSITION["services"]


def _made_secrets(folder: Path) -> dict[str, str]:
    """What the script makes up, by file."""
    shutil.copy(DEPLOY / "compose/make-secrets.sh", folder)
    subprocess.run([folder / "make-secrets.sh"], check=True, capture_output=True)
    return {path.name: path.read_text() for path in (folder / "secrets").iterdir()}


def test_what_services_name_is_there() -> None:
    """Secrets, configurations, volumes and the services that others wait for."""
    for service in _SERVICES.values():
        assert set(service.get("secrets", ())) <= _COMPOSITION["secrets"].keys()
        assert {one["source"] for one in service.get("configs", ())} <= _COMPOSITION["configs"].keys()
        assert {one.partition(":")[0] for one in service.get("volumes", ())} <= _COMPOSITION["volumes"].keys()
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in _SERVICES[name]
    assert [one["file"] for one in _COMPOSITION["configs"].values()] == [str(_CONFIG.relative_to(DEPLOY))]


def test_the_configuration_starts_a_daemon(tmp_path: Path) -> None:
    """It reads no secret that its container is not given, and listens where the port is published from."""
    config = loaded(_CONFIG, tmp_path)
    service = _SERVICES["tidewaiter"]
    assert {f"/run/secrets/{name}" for name in service["secrets"]} == set(map(str, secrets_in(_CONFIG)))
    assert config.http.listen is not None
    (published,) = service["ports"]
    assert published.startswith("127.0.0.1:")
    assert published.endswith(f":{host_and_port(config.http.listen)[1]}")


def test_the_secrets_fit(tmp_path: Path) -> None:
    """The script makes up each that is named, they agree with one another, and a second run changes none."""
    made = _made_secrets(tmp_path)
    assert {f"compose/secrets/{name}" for name in made} == {one["file"] for one in _COMPOSITION["secrets"].values()}
    assert (
        f":{made['postgres_password']}@postgres/{_SERVICES['postgres']['environment']['POSTGRES_DB']}"
        in made["database_url"]
    )
    (identity,) = json.loads(made["s3_identities"])["identities"]
    text = _CONFIG.read_text()
    key = re.search(r'access_key_id = "(\w+)"', text)
    assert key is not None
    assert identity["credentials"] == [{"accessKey": key[1], "secretKey": made["s3_secret_key"]}]
    text = re.sub(r"/run/secrets", str(tmp_path / "secrets"), text)
    (tmp_path / "tidewaiter.toml").write_text(text)
    config = load(tmp_path / "tidewaiter.toml", {})
    assert {action.partition(":")[2] for action in identity["actions"]} == {str(config.storage.url).partition("://")[2]}
    assert _made_secrets(tmp_path) == made


def test_commands_exist() -> None:
    """What the services run of ours are commands."""
    ours = [service for service in _SERVICES.values() if service["image"].startswith("${TIDEWAITER_IMAGE")]
    assert [fault_of(service["command"]) for service in ours] == [None, None]


@pytest.mark.fault(62)
def test_daemons_are_locked_in_and_may_drain(tmp_path: Path) -> None:
    """No writable root, no capability; and more time to end than the daemon takes."""
    service = _SERVICES["tidewaiter"]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    grace = float(service["stop_grace_period"].removesuffix("s"))
    assert grace > loaded(_CONFIG, tmp_path).worker.drain_s
