"""Renders pages: templates that escape all values, the headers of a page, and what depends on the caller."""

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import hdrs, web
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from app import __version__
from app.clock import Clock
from app.domain.formatting import visible
from app.domain.job import LIVE, TERMINAL, State
from app.web.access import Access
from app.web.bodies import accepts_html
from app.web.callers import CALLER, Role
from app.web.page.assets import Assets
from app.web.page.notices import notice_of
from app.web.page.texts import FILTERS
from app.web.problems import ProblemError, phrase_of
from app.web.rules import SAFE
from app.web.vitals import Phase, Vitals

STATES: Final = tuple(State)
_SECTIONS: Final = frozenset({"jobs", "accounts", "schedules"})
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


class Frame:
    """Makes pages from templates.

    Args:
        access: access control.
        status: what this process does.
        clock: the time.
    """

    def __init__(self, access: Access, status: Vitals, clock: Clock) -> None:
        self.access = access
        self.clock = clock
        self.assets = Assets()
        self._status = status
        self._templates = _environment(self.assets.addresses)

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
                "who": caller.name if caller is not None and caller.in_session else None,
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


def _environment(assets: Mapping[str, str]) -> Environment:
    environment = Environment(
        loader=PackageLoader("app.web.page"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(assets=assets, State=State, STATES=STATES, LIVE=LIVE, TERMINAL=TERMINAL)
    # Compiled now, so that the first request of each page does not wait.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def _shown(value: object) -> object:
    """Every value of a template, before it is escaped: without characters that control the text around it."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _back(request: web.Request) -> str:
    """The page that sent a form; else the page above the requested one."""
    parts = request.path.split("/")
    if parts[1] not in _SECTIONS:  # "//another.example" would lead to another site
        return "/"
    if request.method in SAFE:
        return f"/{parts[1]}" if len(parts) > 2 else "/"
    return "/schedules" if parts[1] == "schedules" else "/".join(parts[:-1]) if len(parts) == 4 else "/"
