"""The frame of every page: templates that escape whatever they show, the headers of a page, and who is looking."""

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
_ROOMS: Final = frozenset({"jobs", "accounts", "schedules"})
_SECONDS: Final = 3
# Nothing but what this listener serves itself; no style or script stands in a page.
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
    # With "no-referrer" a browser says of its own forms that they come from nowhere ("Origin: null"), which
    # over plain http cannot be told from another site's: https://fetch.spec.whatwg.org/#append-a-request-origin-header
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Frame:
    """Makes pages out of templates.

    Args:
        access: who may look.
        vitals: how this process stands.
        clock: the time.
    """

    def __init__(self, access: Access, vitals: Vitals, clock: Clock) -> None:
        self.access = access
        self.clock = clock
        self.assets = Assets()
        self._vitals = vitals
        self._templates = _environment(self.assets.addresses)

    @property
    def phase(self) -> Phase:
        """What this process does."""
        return self._vitals.phase

    def page(self, request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
        """A page.

        Args:
            request: who asks for it.
            template: the file among the templates.
            status: the HTTP status.
            values: what the template shows; ``title`` is the page's name.
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
        """The page that tells a person of a problem; ``None`` where no person asks."""
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
        finalize=_seen,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(FILTERS)
    environment.globals.update(assets=assets, State=State, STATES=STATES, LIVE=LIVE, TERMINAL=TERMINAL)
    # Compiled now, or the first to look at each page would wait for it.
    for name in environment.list_templates():
        environment.get_template(name)
    return environment


def _seen(value: object) -> object:
    """Whatever a template shows passes here, before it is escaped: nothing may steer the text that it stands in."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _back(request: web.Request) -> str:
    """The page from which a form was sent; else the page above the one that was asked for."""
    parts = request.path.split("/")
    if parts[1] not in _ROOMS:  # "//another.example" would lead out of here
        return "/"
    if request.method in SAFE:
        return f"/{parts[1]}" if len(parts) > 2 else "/"
    return "/schedules" if parts[1] == "schedules" else "/".join(parts[:-1]) if len(parts) == 4 else "/"
