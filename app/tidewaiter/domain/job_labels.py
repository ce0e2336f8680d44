"""What a caller may write on its jobs: labels, the name of a batch, and the trace that its request belongs to."""

import re
from collections.abc import Iterator, Mapping
from typing import Final

MOST_LABELS: Final = 16
LONGEST_LABEL: Final = 200
LABEL_NAME: Final = r"^[A-Za-z_][A-Za-z0-9_./-]{0,62}$"
"""Names as in Prometheus and in Kubernetes, such as ``dag`` or ``app.kubernetes.io/name``."""
LABEL_VALUE: Final = rf"^[^\x00-\x1f\x7f-\x9f]{{1,{LONGEST_LABEL}}}$"

_NAME: Final = re.compile(LABEL_NAME.removesuffix("$") + r"\Z")
_VALUE: Final = re.compile(LABEL_VALUE.removesuffix("$") + r"\Z")
_TRACE: Final = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_NO_TRACE_ID: Final = "0" * 32
_NO_PARENT_ID: Final = "0" * 16
_VERSION: Final = "00"
_INVALID_VERSION: Final = "ff"
_SAMPLED: Final = 1


def label_faults(labels: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with labels: the name of each faulty one (empty for all of them), and the reason."""
    if len(labels) > MOST_LABELS:
        yield "", f"has {len(labels)} labels; a job has at most {MOST_LABELS}"
        return
    for name, value in labels.items():
        if not _NAME.match(name):
            yield name, "is no name of a label: 1 to 63 of A-Z a-z 0-9 _ . / -, and first a letter or _"
        elif not _VALUE.match(value):
            yield name, f"must be text of 1 to {LONGEST_LABEL} characters, without control characters"


def trace_of(header: str) -> str | None:
    """The trace that a header ``traceparent`` names; ``None`` if the header is invalid, which must be ignored.

    Of a version that is not known yet, the known fields are used, as version 00 writes them.
    Source: W3C Trace Context, https://www.w3.org/TR/trace-context/#traceparent-header.
    """
    found = _TRACE.fullmatch(header.strip(" \t"))
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    if version == _INVALID_VERSION or trace_id == _NO_TRACE_ID or parent_id == _NO_PARENT_ID:
        return None
    if version == _VERSION:
        return None if more else found[0]
    return f"{_VERSION}-{trace_id}-{parent_id}-{int(flags, 16) & _SAMPLED:02x}"
