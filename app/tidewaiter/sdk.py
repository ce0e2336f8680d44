"""The API for providers written in Python. Import only from this module of Tidewaiter.

A provider is a spec in TOML and two small classes: a :class:`Provider` that returns operations of its own class, and a
:class:`BoundOperation` that overrides the methods of the steps that the spec cannot describe. A package offers it with
an entry point of the group ``tidewaiter.providers``: a function without arguments that returns the provider.

* The methods of an operation come in pairs, one that builds a request and one that reads its reply: ``submit`` and
  ``read_submit``, ``before`` and ``read_before``, ``start`` and ``read_start``, ``poll`` and ``read_poll``, ``resolve``
  and ``read_resolve``, ``links`` and ``read_file``, ``cancel`` and ``read_cancel``, ``clean`` and ``read_clean``. A
  method that is not overridden does what the spec says, and so does ``super()``.
* Methods do no IO and read no clock. They build requests without credentials: Tidewaiter adds the account's to every
  request to the provider's own origins. It also handles limits, retries, redirects and TLS.
* A method that builds raises :class:`UnsendableError` if the job lacks a value for the request. A method that reads
  never raises; it returns one of the outcomes below. Any other exception crashes the step; after five crashes in a row
  the job fails.
* Store a secret only in a field with ``field(repr=False)``. Never put it into a reason or into a URL that is returned.

Stability: this module follows semantic versioning. A name in ``__all__``, its parameters, its fields and its meaning
change only with a new major version. A minor version may add names, fields with a default, and outcomes that a method
may return; it never adds an outcome that a method must return. Other modules of Tidewaiter may change at any time.
"""

from tidewaiter.domain.http_values import Json, JsonObject, Link, WireReply, WireRequest
from tidewaiter.domain.job import Job
from tidewaiter.domain.outcome import (
    Accepted,
    Cancelled,
    Cleaned,
    Duplicate,
    Empty,
    FailedForNow,
    Gone,
    Inline,
    LinksExpired,
    NotYet,
    Pending,
    Ready,
    Refused,
    Retry,
    StepDone,
    Throttled,
    Unauthorized,
    Unknown,
    Unmapped,
    Unsent,
)
from tidewaiter.providers.bound_operation import BoundOperation
from tidewaiter.providers.errors import SpecError, UnsendableError
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.replies.reply_defaults import FileTrouble, Polled, Submitted, Trouble
from tidewaiter.providers.steps.compiled_operation import CompiledOperation
from tidewaiter.providers.steps.stage_steps import Prepared, Started

__all__ = [
    "Accepted",
    "BoundOperation",
    "Cancelled",
    "Cleaned",
    "CompiledOperation",
    "Duplicate",
    "Empty",
    "FailedForNow",
    "FileTrouble",
    "Gone",
    "Inline",
    "Job",
    "Json",
    "JsonObject",
    "Link",
    "LinksExpired",
    "NotYet",
    "Pending",
    "Polled",
    "Prepared",
    "Provider",
    "Ready",
    "Refused",
    "Retry",
    "SpecError",
    "Started",
    "StepDone",
    "Submitted",
    "Throttled",
    "Trouble",
    "Unauthorized",
    "Unknown",
    "Unmapped",
    "UnsendableError",
    "Unsent",
    "WireReply",
    "WireRequest",
]
