"""Makes an environment for each orchestrator, and runs its recipe against a daemon with an emulated provider.

``python -m tests.recipes [NAME ...]``. The environments are in ``.cache/recipes``; they get the newest release of the
orchestrator, and Tidewaiter without the libraries of its daemon.
"""

import asyncio
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon_in_process import DaemonSetup, open_daemon_setup
from tests.support.ports import free_port
from tidewaiter.client import AsyncClient, State
from tidewaiter.database import migrate

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = ROOT / ".cache/recipes"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What an orchestrator is installed from, its settings, and how many jobs its example makes.

    ``jobs`` are all that it makes, and ``exports`` are those that succeed.
    """

    package: str
    settings: Mapping[str, str]
    jobs: int = 2
    exports: int = 2


RECIPES = {
    "airflow": Recipe(
        "apache-airflow",
        {
            "AIRFLOW_HOME": "{folder}/airflow",
            "AIRFLOW__CORE__DAGS_FOLDER": "{folder}/dags",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": "http://127.0.0.1:{port}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": "{port}",
            "AIRFLOW__API__BASE_URL": "http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",
            "AIRFLOW__CORE__PARALLELISM": "2",
        },
    ),
    "dagster": Recipe("dagster", {"DAGSTER_HOME": "{folder}", "DAGSTER_DISABLE_TELEMETRY": "1"}),
    "prefect": Recipe(
        "prefect",
        {
            "PREFECT_HOME": "{folder}/prefect",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
            "DO_NOT_TRACK": "1",
        },
        jobs=3,
    ),
}


def prepared(name: str) -> tuple[Path, str]:
    """The Python of an environment with the orchestrator and the client, and the orchestrator's version."""
    folder = ENVIRONMENTS / name
    python = folder / "bin/python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    install: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, RECIPES[name].package, "aiohttp"], check=True)
    subprocess.run([*install, "--no-deps", "--force-reinstall", ROOT], check=True)
    code = f"import importlib.metadata as m; print(m.version({RECIPES[name].package!r}))"
    found = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return python, found.stdout.strip()


async def tried(name: str, python: Path, setup: DaemonSetup, url: str) -> None:
    """Run a recipe, and check what it has asked of the daemon and of the provider."""
    recipe = RECIPES[name]
    with tempfile.TemporaryDirectory(prefix=f"recipe-{name}-") as made:
        folder = Path(made)
        port = str(free_port())
        settings = {key: value.format(folder=folder, port=port) for key, value in recipe.settings.items()}
        kept = {key: os.environ[key] for key in ("HOME", "LANG") if key in os.environ}
        environ = {
            **kept,
            **settings,
            "PATH": f"{python.parent}:{os.environ['PATH']}",
            "TIDEWAITER_URL": url,
            "RECIPE_FOLDER": str(folder),
            "PYTHONPATH": str(ROOT / "docs/recipes"),
        }
        program = await asyncio.create_subprocess_exec(
            python, Path(__file__).with_name(f"try_{name}.py"), cwd=folder, env=environ
        )
        assert await program.wait() == 0, name
        landed = [path for path in (folder / "files").rglob("*") if path.is_file()]
        assert len(landed) == recipe.exports, landed
    async with AsyncClient(url) as client:
        jobs = [job async for job in client.jobs(q=name)]
        succeeded = [job for job in jobs if job.state is State.SUCCEEDED]
        everything = [job async for job in client.jobs()]
    print(f"{name}: {[(job.id, job.unique_key, job.state.value) for job in everything]}")
    assert len(succeeded) == recipe.exports, jobs
    assert len(everything) == recipe.jobs, everything
    assert setup.emulator.count("create") <= recipe.jobs


async def main(names: list[str]) -> None:
    """Try these recipes, each with a daemon of its own."""
    for name in names or RECIPES:
        python, version = await asyncio.to_thread(prepared, name)
        with tempfile.TemporaryDirectory(prefix="recipe-daemon-") as made:
            folder, port = Path(made), free_port()
            migrate.upgrade(f"sqlite:///{folder}/tidewaiter.db")
            async with open_daemon_setup(folder, f"sqlite:///{folder}/tidewaiter.db", build_s=3.0) as setup:
                setup.write(setup.account("newsletter"), f'[http]\nlisten = "127.0.0.1:{port}"\n')
                async with setup.serving():
                    await tried(name, python, setup, f"http://127.0.0.1:{port}")
        print(f"{name} ({version}): the recipe works")


asyncio.run(main(sys.argv[1:]))
