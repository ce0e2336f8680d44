"""The container image: what its Dockerfile promises to those who run it."""

import json
import re
import subprocess
from pathlib import Path

from tests.deploy.files import DEPLOY, UID, instructions, loaded
from tests.support.command_lines import fault_of
from tests.support.doc_pages import PAGES, ROOT
from tidewaiter import __version__
from tidewaiter.cli.invocation import CONFIG_PLACES, CONFIG_VARIABLE


def _of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


def test_the_entry_point_is_the_program() -> None:
    """In exec form, so that signals reach it; and what it runs, and what asks for its health, exists."""
    assert [json.loads(one) for one in _of("ENTRYPOINT")] == [["tidewaiter"]]
    assert [fault_of(json.loads(one)) for one in _of("CMD")] == [None]
    (health,) = _of("HEALTHCHECK")
    name, *words = json.loads(health.partition(" CMD ")[2])
    assert (name, fault_of(words)) == ("tidewaiter", None)
    assert _of("STOPSIGNAL") == ["SIGTERM"]


def test_it_is_not_root() -> None:
    """By number, for Kubernetes cannot tell from a name."""
    assert _of("USER") == [f"{UID}:{UID}"]


def test_what_it_copies_is_there_and_reaches_the_builder() -> None:
    """Each source is a file of the repository that .dockerignore lets through, and nothing else is let through."""
    sources = {source for one in _of("COPY") if not one.startswith("--from") for source in one.split()[:-1]}
    assert [source for source in sources if not (ROOT / source).exists()] == []
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    assert {line.removeprefix("!") for line in lines if line.startswith("!")} == sources


def test_it_holds_a_configuration_that_works(tmp_path: Path) -> None:
    """Where the program looks for one; all that is written is in the volume, and its health can be asked for."""
    assert f"config/deploy/container.toml {CONFIG_PLACES[-1]}" in _of("COPY")
    assert f"{CONFIG_VARIABLE}={CONFIG_PLACES[-1]}" in _of("ENV")[-1]
    (volume,) = [Path(one) for rest in _of("VOLUME") for one in json.loads(rest)]
    config = loaded(DEPLOY / "container.toml", tmp_path)
    assert Path(config.database.url.removeprefix("sqlite:///")).parent == volume
    assert config.storage.root is not None
    assert config.storage.root.is_relative_to(volume)
    assert config.http.listen is not None


def test_it_has_the_libraries_for_buckets() -> None:
    """What is installed is the lock for running, which holds what the extra `object` wants."""
    assert any("--require-hashes -r config/locks/runtime.txt" in one for one in _of("RUN"))
    assert "\nobstore==" in (ROOT / "config/locks/runtime.txt").read_text()


def test_the_builder_says_what_it_needs(tmp_path: Path) -> None:
    """Where no tool that builds is installed, the script ends with a sentence."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("dirname", "git", "sed"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    script = DEPLOY / "build-image.sh"
    ended = subprocess.run(["/bin/sh", script], env={"PATH": str(tools)}, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (69, "")
    assert "needs docker with a running engine, podman or buildah" in ended.stderr


def test_everybody_names_the_same_version() -> None:
    """Composition, manifests and handbook name the image of this version, which is what the builder makes."""
    files = [path for path in DEPLOY.rglob("*") if path.suffix in {".yaml", ".sh"}]
    texts = [path.read_text() for path in (*files, *PAGES)]
    tags = {tag for text in texts for tag in re.findall(r"\btidewaiter:(\d[\w.]*\w)|newTag: (\S+)", text)}
    assert {plain or new for plain, new in tags} == {__version__}
