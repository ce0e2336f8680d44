"""Who is compared: how each is installed, started, and asked whether its job has ended."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.simulation.cuts.export_provider import spec

HERE: Final = Path(__file__).parent
TIDEWAITER: Final = Path(sys.executable).with_name("tidewaiter")
_CONFIG: Final = """
[database]
url = "{dsn}"
[storage]
root = "{folder}"
[worker]
lookout_s = 1
[providers]
folders = ["{specs}"]
[accounts.shop]
provider = "demo"
allow_private = true
[accounts.shop.settings]
server = "{provider}"
token_file = "{specs}/token"
"""


@dataclass(frozen=True, slots=True)
class Contestant:
    """A program under test.

    Attributes:
        packages: what its environment has; none for Tidewaiter, which runs in ours.
        live: counts its unfinished jobs.
        asks: counts the jobs that wait for a person.
        kind: the spec of Tidewaiter.
        lite: its database is an SQLite file.
        module: its worker, ``{module}_worker.py``.
        build_s: how long the provider takes: longer than until the third poll.
        at_once: how many of its kills run at once.
        within_s: how long a run may take.
    """

    packages: tuple[str, ...] = ()
    live: str = ""
    asks: str = "SELECT 0"
    kind: str = ""
    lite: bool = False
    module: str = ""
    build_s: float = 2.5
    at_once: int = 5
    within_s: float = 240.0

    def commands(self, name: str, folder: Path, python: Path) -> tuple[list[str], list[str]]:
        """What prepares the database and makes the job, and what works on it."""
        if self.packages:
            worker = [str(python), str(HERE / f"{self.module or name}_worker.py")]
            return [*worker, "prepare", name], [*worker, "work", name]
        config = ["--config", str(folder / "tidewaiter.toml")]
        return [str(TIDEWAITER), "submit", "shop", "export", *config], [str(TIDEWAITER), "serve", *config]

    def write(self, folder: Path, values: Mapping[str, str]) -> None:
        """Write the configuration."""
        if not self.packages:
            specs = folder / "specs"
            specs.mkdir()
            text = spec(self.kind)
            for key in ("first_delay_s", "interval_s", "cap_s"):
                text = text.replace(f"{key} = 5\n", f"{key} = 1\n")
            (specs / "demo.toml").write_text(text)
            (specs / "token").write_text("no secret at all")
            (folder / "tidewaiter.toml").write_text(
                _CONFIG.format(dsn=values["DSN"], folder=values["FOLDER"], specs=specs, provider=values["PROVIDER"])
            )


_OURS: Final = "SELECT count(*) FROM jobs WHERE state NOT IN ('succeeded', 'failed', 'expired', 'cancelled', 'parked')"
_AIRFLOW: Final = Contestant(
    ("apache-airflow", "psycopg2-binary", "asyncpg", "aiohttp"),
    "SELECT 1 - count(*) FROM dag_run WHERE state IN ('success', 'failed')",
    "SELECT count(*) FROM dag_run WHERE state = 'failed'",
    module="airflow",
    build_s=8.0,
    at_once=1,
    within_s=600.0,
)
_PARKED: Final = "SELECT count(*) FROM jobs WHERE state = 'parked'"

CONTESTANTS: Final[Mapping[str, Contestant]] = {
    "tidewaiter": Contestant(live=_OURS, asks=_PARKED, kind="adoptable"),
    "tidewaiter-sqlite": Contestant(live=_OURS, asks=_PARKED, kind="adoptable", lite=True),
    "tidewaiter-blind": Contestant(live=_OURS, asks=_PARKED, kind="blind"),
    "procrastinate": Contestant(
        ("procrastinate", "aiohttp"),
        "SELECT count(*) FROM procrastinate_jobs"
        " WHERE task_name IN ('submit', 'poll', 'land') AND status IN ('todo', 'doing')",
    ),
    "pgqueuer": Contestant(("pgqueuer", "asyncpg", "aiohttp"), "SELECT count(*) FROM pgqueuer"),
    "airbyte": Contestant(("airbyte-cdk",), "SELECT sum(live) FROM reads", module="airbyte", lite=True, build_s=8.0),
    "airflow": _AIRFLOW,
    "airflow-resumable": _AIRFLOW,
}
