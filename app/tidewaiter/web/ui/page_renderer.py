"""Renders pages: templates that escape all values, static files named by their content, and headers."""

import gzip
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from aiohttp import hdrs, web
from markupsafe import Markup

from tidewaiter import __version__
from tidewaiter.clock import Clock
from tidewaiter.domain import formatting
from tidewaiter.domain.formatting import visible
from tidewaiter.domain.job import LIVE, TERMINAL, State, fraction_of
from tidewaiter.web.access_control import STATIC, AccessControl
from tidewaiter.web.callers import CALLER, Role
from tidewaiter.web.health_routes import Phase, ProcessStatus
from tidewaiter.web.problems import ProblemError, phrase_of
from tidewaiter.web.request_reading import accepts_html
from tidewaiter.web.route_rules import SAFE
from tidewaiter.web.ui.notices import notice_of

if TYPE_CHECKING:
    from jinja2 import Environment

_UNIT: Final = re.compile(r"(?<=[0-9]) (?=[A-Za-z])")
_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_KEEP: Final = "public, max-age=31536000, immutable"
_DIGITS: Final = 16
STATES: Final = tuple(State)
_SECTIONS: Final = frozenset({"jobs", "batches", "accounts", "schedules", "notifications", "trends"})
_FLAT: Final = frozenset({"schedules", "notifications"})
"""Sections whose single things have no page."""
_SECONDS: Final = 3
# Only what this listener serves itself; no inline styles or scripts.
_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    # With "no-referrer" a browser sends its own forms with "Origin: null", which over plain http looks like a form of
    # another site: https://fetch.spec.whatwg.org/#append-a-request-origin-header
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class PageRenderer:
    """Makes pages from templates.

    Args:
        access: access control.
        status: what this process does.
        clock: the time.
    """

    def __init__(self, access: AccessControl, status: ProcessStatus, clock: Clock) -> None:
        self.access = access
        self.clock = clock
        self.assets = StaticFiles()
        self._status = status

    @cached_property
    def _templates(self) -> "Environment":
        return make_environment(self.assets.addresses)

    @property
    def phase(self) -> Phase:
        """What this process does."""
        return self._status.phase

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page.

        Args:
            request: the request.
            template: the name of the template.
            status: the HTTP status.
            values: what the template shows; ``title`` is the title of the page.
        """
        caller = request.get(CALLER)
        text = self._templates.get_template(template).render(
            {
                "now": self.clock.now(),
                "path": request.path,
                "phase": self.phase,
                "version": __version__,
                "may_act": caller is not None and caller.role >= Role.ADMIN,
                "may_submit": caller is not None and caller.role >= Role.SUBMIT,
                "signed_in_as": caller.name if caller is not None and caller.in_session else None,
                "has_role": caller is not None and caller.role > Role.NOBODY,
                "notice": notice_of(request),
                "refresh_s": _SECONDS,
                **values,
            }
        )
        response = web.Response(text=text, content_type="text/html", status=status, headers=_HEADERS)
        response.headers[hdrs.VARY] = "Accept, Cookie, Accept-Encoding"
        response.enable_compression()
        return response

    def error_page(self, request: web.Request, problem: ProblemError) -> web.Response | None:
        """The page of a problem; ``None`` if no browser asks."""
        if not accepts_html(request):
            return None
        response = self.page(
            request,
            "error.html",
            status=problem.status,
            title=phrase_of(problem.status),
            problem=problem,
            notice=None,
            back=_back(request),
        )
        response.headers.update(problem.headers)
        return response


def make_environment(assets: Mapping[str, str]) -> "Environment":
    """The templates; each is read when it is first used.

    To import the library and read all of them takes 4 MB, which a daemon that nobody looks at does not need.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined  # noqa: PLC0415

    from tidewaiter.web.ui.page_code import PageCode  # noqa: PLC0415

    settings: dict[str, Any] = {"trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(
        loader=PackageLoader("tidewaiter.web.ui"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        auto_reload=False,
        bytecode_cache=PageCode(str(settings)),
        **settings,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(assets=assets, State=State, STATES=STATES, LIVE=LIVE, TERMINAL=TERMINAL)
    return environment


def _shown(value: object) -> object:
    """Every value of a template, before it is escaped: without characters that control the text around it."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _back(request: web.Request) -> str:
    """The page that sent a form; else the page above the requested one."""
    parts = request.path.split("/")
    if parts[1].startswith("jobs:"):
        return "/jobs"
    if parts[1] == "backfills":
        return "/batches"
    if parts[1] not in _SECTIONS:  # "//another.example" would lead to another site
        return "/"
    if request.method in SAFE:
        return f"/{parts[1]}" if len(parts) > 2 else "/"
    return f"/{parts[1]}" if parts[1] in _FLAT else "/".join(parts[:-1]) if len(parts) == 4 else "/"


def unbroken(text: str) -> str:
    """The text with a no-break space between each number and its unit."""
    return _UNIT.sub("\u00a0", text)


def _unbroken(formatter: Callable[..., str]) -> Callable[..., str]:
    return lambda *values: unbroken(formatter(*values))


counted: Final = _unbroken(formatting.counted)
rough: Final = _unbroken(formatting.rough)
FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "ago": _unbroken(formatting.ago),
    "clock": formatting.clock,
    "clock_or_date": formatting.clock_or_date,
    "counted": counted,
    "duration": _unbroken(formatting.duration),
    "fraction_of": fraction_of,
    "machine": formatting.rfc3339,
    "moment": formatting.moment,
    "number": formatting.number,
    "parameters": formatting.parameters,
    "rough": rough,
    "size": _unbroken(formatting.size),
    "written": formatting.written,
}


@dataclass(frozen=True, slots=True)
class _StaticFile:
    body: bytes
    packed: bytes
    media_type: str
    tag: str


class StaticFiles:
    """The files of the folder ``static``, at addresses that change with their content."""

    def __init__(self) -> None:
        self._by_address: dict[str, _StaticFile] = {}
        self._addresses: dict[str, str] = {}
        for one in sorted(files(__package__).joinpath("static").iterdir(), key=lambda path: path.name):
            stem, _, ending = one.name.rpartition(".")
            if ending not in _TYPES:
                continue
            body = one.read_bytes()
            tag = hashlib.sha256(body).hexdigest()[:_DIGITS]
            address = f"{STATIC}{stem}.{tag}.{ending}"
            self._addresses[one.name] = address
            self._by_address[address] = _StaticFile(body, gzip.compress(body, mtime=0), _TYPES[ending], tag)

    @property
    def addresses(self) -> Mapping[str, str]:
        """The address of each file, by its name."""
        return self._addresses

    def routes(self) -> list[web.RouteDef]:
        """The route that serves them."""
        return [web.get(f"{STATIC}{{name}}", self._serve, allow_head=True)]

    async def _serve(self, request: web.Request) -> web.Response:
        found = self._by_address.get(request.path)
        if found is None:
            raise web.HTTPNotFound(text="there is no such file; load the page again for the new address")
        kept = {hdrs.CACHE_CONTROL: _KEEP, hdrs.ETAG: f'"{found.tag}"', hdrs.VARY: hdrs.ACCEPT_ENCODING}
        if any(tag.value == found.tag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=kept)
        body = found.body
        if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
            body = found.packed
            kept[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=kept, content_type=found.media_type, charset="utf-8")
