"""The container image: the properties that the Dockerfile promises."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from tests.deploy.files import DEPLOY, UID, instructions, loaded
from tests.support.command_lines import fault_of
from tests.support.doc_pages import PAGES, ROOT
from tidewaiter import __version__
from tidewaiter.cli.invocation import CONFIG_PLACES, CONFIG_VARIABLE


def _of(name: str) -> list[str]:
    return [rest for instruction, rest in instructions() if instruction == name]


@pytest.mark.fault(6)
def test_the_entry_point_is_the_program() -> None:
    """In exec form, so that signals reach it; and what it runs, and what asks for its health, exists."""
    assert [json.loads(one) for one in _of("ENTRYPOINT")] == [["tidewaiter"]]
    assert [fault_of(json.loads(one)) for one in _of("CMD")] == [None]
    (health,) = _of("HEALTHCHECK")
    name, *words = json.loads(health.partition(" CMD ")[2])
    assert (name, fault_of(words)) == ("tidewaiter", None)
    assert _of("STOPSIGNAL") == ["SIGTERM"]


@pytest.mark.fault(62)
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
    assert f"--from=build /opt{CONFIG_PLACES[-1].parent} {CONFIG_PLACES[-1].parent}" in _of("COPY")
    assert any(f"config/deploy/container.toml /opt{CONFIG_PLACES[-1]}" in one for one in _of("RUN"))
    assert f"{CONFIG_VARIABLE}={CONFIG_PLACES[-1]}" in _of("ENV")[-1]
    (volume,) = [Path(one) for rest in _of("VOLUME") for one in json.loads(rest)]
    config = loaded(DEPLOY / "container.toml", tmp_path)
    assert Path(config.database.url.removeprefix("sqlite:///")).parent == volume
    assert config.storage.root is not None
    assert config.storage.root.is_relative_to(volume)
    assert config.http.listen is not None


def test_it_has_the_libraries_of_the_extras() -> None:
    """What is installed is the lock for running, which holds what the extras `object` and `aws` want."""
    assert any("--require-hashes -r config/locks/runtime.txt" in one for one in _of("RUN"))
    lock = (ROOT / "config/locks/runtime.txt").read_text()
    assert "\nobstore==" in lock
    assert "\nbotocore==" in lock


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


def _cleaned(libraries: Path, tree: Path) -> None:
    """Do to a tree what the image's build does to what it has installed."""
    (line,) = [one for one in _of("RUN") if one.startswith("find ")]
    script = line.replace("/opt/venv/lib", str(libraries)).replace("/opt/venv", str(tree))
    subprocess.run(["/bin/sh", "-ec", f"umask 077; {script}"], check=True)


def test_another_umask_does_not_matter(tmp_path: Path) -> None:
    """What was installed under umask 077 can be read and run by the user of the image, and written by nobody else."""
    before = os.umask(0o077)
    try:
        program = tmp_path / "lib" / "package" / "program"
        program.parent.mkdir(parents=True)
        program.touch(0o700)
        (program.parent / "module.py").touch(0o600)
    finally:
        os.umask(before)
    (program.parent / "open.py").touch()
    (program.parent / "open.py").chmod(0o666)
    _cleaned(tmp_path / "lib", tmp_path)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    assert modes == {"lib": 0o755, "package": 0o755, "program": 0o755, "module.py": 0o644, "open.py": 0o644}
    (line,) = [one for one in _of("RUN") if one.startswith("install ")]
    assert "--mode 0644 config/deploy/container.toml" in line
    assert "chmod 0755 /opt/etc/tidewaiter" in line


@pytest.mark.slow
def test_what_is_left_out_is_not_needed(tmp_path: Path) -> None:
    """With only what the image has of the libraries, every module can be imported, and commands work."""
    names = re.findall(r"^([\w.-]+)==", (ROOT / "config/locks/runtime.txt").read_text(), re.MULTILINE)
    libraries = tmp_path / "lib"
    for name in names:
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue  # for another version of Python
        for file in found.files or ():
            source, copy = Path(str(found.locate_file(file))), libraries / file
            if ".." not in file.parts and source.exists():
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(source, copy)
    assert (libraries / "sqlalchemy" / "testing").is_dir()
    _cleaned(libraries, tmp_path)
    left = {path.name for path in libraries.rglob("*")}
    assert left.isdisjoint({"tests", "testing"})
    assert not any(name.endswith((".c", ".pyx")) for name in left)
    (tmp_path / "tidewaiter.toml").write_text('[database]\nurl = "sqlite:///jobs.db"\n')
    script = """
import importlib, pkgutil, sys, tidewaiter
for found in pkgutil.walk_packages(tidewaiter.__path__, "tidewaiter."):
    if not found.name.endswith("__main__"):
        importlib.import_module(found.name)
import obstore.store, psycopg
from tidewaiter.cli.main import main
sys.argv[1:] = ["db", "upgrade"]
main()
"""
    environ = {"PYTHONPATH": f"{libraries}:{ROOT / 'app'}", CONFIG_VARIABLE: str(tmp_path / "tidewaiter.toml")}
    own_only = "import sys; sys.path = [one for one in sys.path if 'site-packages' not in one]"
    program = [sys.executable, "-s", "-c", f"{own_only}\n{script}"]
    ended = subprocess.run(program, env=environ, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stderr
