"""What every table of the configuration file has in common."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationInfo


def from_folder(path: Path, info: ValidationInfo) -> Path:
    """The path as it is meant: from the folder that ``load`` passes as context."""
    folder: Path = info.context["folder"] if info.context else Path.cwd()
    return folder / path


class Table(BaseModel):
    """A table: no key but its own, nothing changes later, and no message shows what was written."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", validate_default=True, hide_input_in_errors=True, defer_build=True
    )
