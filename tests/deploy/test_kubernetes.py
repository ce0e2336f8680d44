"""The Kubernetes manifests match Kubernetes' schemas; names, ports and paths agree."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.deploy.files import DEPLOY, UID, documents, loaded, secrets_in
from tests.support.command_lines import fault_of
from tidewaiter.bootstrap.process import health_of, metrics_of_process
from tidewaiter.clock import SystemClock
from tidewaiter.config import Config, host_and_port, load
from tidewaiter.database.engine import Database
from tidewaiter.log import configure
from tidewaiter.web.health_routes import ProcessStatus
from tidewaiter.web.route_rules import GuardedRoute

_FOLDER: Final = DEPLOY / "kubernetes"
_VARIANTS: Final = (_FOLDER, _FOLDER / "sqlite")
# Neither is a kind of Kubernetes itself.
_FOREIGN: Final = {"kustomization.yaml", "servicemonitor.example.yaml"}
_MANIFESTS: Final = sorted(path for path in _FOLDER.rglob("*.yaml") if path.name not in _FOREIGN)


def _every(kind: str, folder: Path) -> list[dict[str, Any]]:
    found = [one for path in _MANIFESTS if path.parent == folder for one in documents(path)]
    return [one for one in found if one["kind"] == kind]


def _workload(folder: Path) -> dict[str, Any]:
    (workload,) = _every("Deployment", folder) + _every("StatefulSet", folder)
    return workload


def _pod(folder: Path) -> dict[str, Any]:
    pod: dict[str, Any] = _workload(folder)["spec"]["template"]["spec"]
    return pod


def _containers(folder: Path) -> list[dict[str, Any]]:
    pods = [_pod(folder), *(job["spec"]["template"]["spec"] for job in _every("Job", folder))]
    return [one for pod in pods for one in (*pod.get("initContainers", ()), *pod["containers"])]


@pytest.mark.slow
def test_schemas_hold() -> None:
    """Every field is one that Kubernetes knows, and holds what it takes."""
    arguments = [sys.executable, "-m", "kubernetes_validate", "--strict", *map(str, _MANIFESTS)]
    ended = subprocess.run(arguments, capture_output=True, text=True, check=False)
    lines = ended.stdout.splitlines()
    assert [line for line in lines if not line.startswith("INFO")] == []
    assert (ended.returncode, len(lines)) == (0, sum(len(documents(path)) for path in _MANIFESTS))


@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_the_kustomization_is_whole(folder: Path) -> None:
    """What it names is there, its image is the one that the manifests use, and no namespace is forced on anybody."""
    (kustomization,) = documents(folder / "kustomization.yaml")
    assert [name for name in kustomization["resources"] if not (folder / name).is_file()] == []
    (generated,) = kustomization["configMapGenerator"]
    assert [name for name in generated["files"] if not (folder / name).is_file()] == []
    (image,) = kustomization["images"]
    assert {one["image"] for one in _pod(folder)["containers"]} == {image["name"]}
    assert all("namespace" not in one["metadata"] for path in _MANIFESTS for one in documents(path))


def test_a_rolling_restart_loses_no_request(tmp_path: Path) -> None:
    """A pod pauses before it is asked to end, and still has time to drain after that."""
    pod = _pod(_FOLDER)
    (container,) = pod["containers"]
    program, seconds = container["lifecycle"]["preStop"]["exec"]["command"]
    assert (program, float(seconds) > 0) == ("sleep", True)
    drain_s = loaded(_FOLDER / "tidewaiter.toml", tmp_path).worker.drain_s
    assert pod["terminationGracePeriodSeconds"] > float(seconds) + drain_s + 10


@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_the_configuration_starts_a_daemon(folder: Path, tmp_path: Path) -> None:
    """Its ports are the container's, services lead to them, and it may drain before it is killed."""
    config = loaded(folder / "tidewaiter.toml", tmp_path)
    (container,) = _pod(folder)["containers"]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    listens = {"http": config.http.listen, "callbacks": config.callbacks.listen}
    assert ports == {name: host_and_port(listen)[1] for name, listen in listens.items() if listen is not None}
    for service in _every("Service", folder):
        assert [one["port"] for one in service["spec"]["ports"]] == [
            ports[one["targetPort"]] for one in service["spec"]["ports"]
        ]
    assert _pod(folder)["terminationGracePeriodSeconds"] > config.worker.drain_s + 10


@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_mounts_fit(folder: Path, tmp_path: Path) -> None:
    """Every mount is of a volume, and what the configuration reads and writes lies in one."""
    workload, pod = _workload(folder), _pod(folder)
    claims = [one["metadata"]["name"] for one in workload["spec"].get("volumeClaimTemplates", ())]
    volumes = {one["name"]: one for one in pod["volumes"]} | {name: {} for name in claims}
    (container,) = pod["containers"]
    mounts = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert set(mounts.values()) == volumes.keys()
    secrets = secrets_in(folder / "tidewaiter.toml")
    assert {str(secret.parent) for secret in secrets} == {path for path, name in mounts.items() if name == "secrets"}
    (kustomization,) = documents(folder / "kustomization.yaml")
    (generated,) = kustomization["configMapGenerator"]
    assert volumes["config"]["configMap"]["name"] == generated["name"]
    config = loaded(folder / "tidewaiter.toml", tmp_path)
    if config.storage.root is not None:
        assert any(config.storage.root.is_relative_to(path) for path, name in mounts.items() if name in claims)


def test_the_example_of_the_secret_is_whole() -> None:
    """It has each key that the configuration reads, and the name that the pods mount."""
    (secret,) = documents(_FOLDER / "secret.example.yaml")
    assert secret["stringData"].keys() == {path.name for path in secrets_in(_FOLDER / "tidewaiter.toml")}
    (mounted,) = [one["secret"]["secretName"] for one in _pod(_FOLDER)["volumes"] if "secret" in one]
    assert secret["metadata"]["name"] == mounted


def test_the_monitor_asks_what_there_is(tmp_path: Path) -> None:
    """It finds the service, by a port that the service has, and shows a token that the configuration knows."""
    (monitor,) = documents(_FOLDER / "servicemonitor.example.yaml")
    service, _ = _every("Service", _FOLDER)
    assert monitor["spec"]["selector"]["matchLabels"] == service["metadata"]["labels"]
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {one["name"] for one in service["spec"]["ports"]}
    (tmp_path / "empty.toml").write_text("")
    assert endpoint["path"] in _paths_of_health(load(tmp_path / "empty.toml", {}))
    config = loaded(_FOLDER / "tidewaiter.toml", tmp_path)
    key = endpoint["authorization"]["credentials"]["key"]
    assert config.tokens["prometheus"].token == (tmp_path / key).read_text()


@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_labels_select(folder: Path) -> None:
    """Workload, services, budget and network policy all mean the pods of the template, and no others."""
    workload = _workload(folder)
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert workload["spec"]["selector"]["matchLabels"] == labels
    assert all(one["spec"]["selector"] == labels for one in _every("Service", folder))
    assert all(one["spec"]["selector"]["matchLabels"] == labels for one in _every("PodDisruptionBudget", folder))
    assert all(one["spec"]["podSelector"]["matchLabels"] == labels for one in _every("NetworkPolicy", folder))


@pytest.mark.fault(62)
@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_pods_are_restricted(folder: Path) -> None:
    """The `restricted` standard, and a root that nobody writes.

    https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted
    """
    pod = _pod(folder)
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, UID)
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in _containers(folder):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert "memory" in container["resources"]["limits"]


@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_commands_exist(folder: Path) -> None:
    """What the containers run are commands."""
    assert [fault_of(one["args"]) for one in _containers(folder)] == [None] * len(_containers(folder))


def _paths_of_health(config: Config) -> set[str]:
    """The paths that the daemon answers about its health."""
    log = configure("json", "error", ())
    clock = SystemClock()
    metrics = metrics_of_process(clock, log)
    vitals = ProcessStatus(asyncio.Event())
    database = Database.open(config.database.url, clock)
    health = health_of(config, vitals, metrics, database, clock=clock, log=log, downloads=lambda: 4)
    return {route.path for route in health.routes() if isinstance(route, web.RouteDef | GuardedRoute)}


@pytest.mark.fault(8)
@pytest.mark.parametrize("folder", _VARIANTS, ids=lambda folder: folder.name)
def test_probes_ask_what_there_is(folder: Path, tmp_path: Path) -> None:
    """Liveness asks for the process and readiness for its work, at paths that are served."""
    (tmp_path / "empty.toml").write_text("")
    served = _paths_of_health(load(tmp_path / "empty.toml", {}))
    (container,) = _pod(folder)["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["path"] for probe in probes.values()} <= served
    assert (probes["liveness"]["path"], probes["readiness"]["path"]) == ("/healthz", "/readyz")
    assert {probe["port"] for probe in probes.values()} == {"http"}
