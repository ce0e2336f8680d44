"""The migrations that this program brings along."""

from functools import cache
from pathlib import Path

from alembic.script import ScriptDirectory

import app


@cache
def migrations_folder() -> Path:
    """Where the migrations are: inside of the package where it is installed, at the top level in the source tree."""
    package = Path(app.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@cache
def known_revisions() -> tuple[str, ...]:
    """Every revision, oldest first."""
    script = ScriptDirectory(str(migrations_folder()))
    return tuple(revision.revision for revision in reversed(list(script.walk_revisions())))
