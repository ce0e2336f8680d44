"""The migrations that this program brings along."""

from functools import cache
from pathlib import Path

import app


@cache
def migrations_folder() -> Path:
    """Where the migrations are: inside of the package where it is installed, at the top level in the source tree."""
    package = Path(app.__file__).parent
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@cache
def known_revisions() -> tuple[str, ...]:
    """Every revision, oldest first: each migration's file begins with its number.

    Alembic could tell as well, but only who migrates needs it, and it takes 11 MB.
    """
    return tuple(sorted(file.name.partition("_")[0] for file in (migrations_folder() / "versions").glob("[0-9]*.py")))
