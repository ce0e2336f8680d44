"""Every emulated API by its name."""

from collections.abc import Mapping
from typing import Final

from app.emulators.catalogue import copernica, oneall, shareprogress, socialgateway, symplify
from app.emulators.catalogue.entry import Entry

_ENTRIES: Final = (
    copernica.ENTRY,
    oneall.ENTRY,
    shareprogress.ENTRY,
    socialgateway.ENTRY,
    symplify.ENTRY,
)  # fmt: skip

CATALOGUE: Final[Mapping[str, Entry]] = {entry.name: entry for entry in _ENTRIES}
