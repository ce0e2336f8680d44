"""Faults of redirects: chains in every form, cookies that the next hop wants, loops, and ways to a login page."""

from tests.lying.answers import Answer, Script
from tests.lying.hops import LOGIN_PAGE, STYLES, Hop
from tests.lying.plan import FilePlan, Plan
from tests.lying.trick import GETS, JSONS, Exchange, Trick, announced

_REDIRECT = "redirect|html|page|json|303|302|301|307|308"


def _chain(exchange: Exchange) -> Script:
    """At most five hops, of which each is to be followed."""
    rand = exchange.rand
    style = rand.choice(STYLES)
    left = rand.choice((1, 1, 2, 5))
    cookie = "foreign" not in style and "back" not in style and rand.random() < 0.5
    # Credentials and bodies are not sent to another host, so only a file that is got without a body can be there.
    is_bound = exchange.kind in GETS & (JSONS | {"page"}) or exchange.request.method == "POST"
    if is_bound and style in ("foreign", "there-and-back"):
        style = "path"
    hop = Hop(exchange.kind, exchange.request, left, style, cookie, status=rand.choice((301, 302, 303, 307, 308)))
    return exchange.remote.hops.begin(hop, exchange.remote).script()


def _too_long(exchange: Exchange) -> Script:
    hop = Hop(exchange.kind, exchange.request, 6, "path", False)
    return exchange.remote.hops.begin(hop, exchange.remote).script()


def _loop(exchange: Exchange) -> Script:
    hop = Hop(exchange.kind, exchange.request, 3, "absolute", False, endless=True)
    return exchange.remote.hops.begin(hop, exchange.remote).script()


def _to_login(exchange: Exchange) -> Script:
    # A chain that wants a cookie that it never sets ends at the page to log in.
    remote = exchange.remote
    hop = Hop(exchange.kind, exchange.request, 1, "path", True)
    first = remote.hops.begin(hop, remote)
    return first.without("set-cookie").script()


def _nowhere(exchange: Exchange) -> Script:
    places = (
        "",
        "ftp://example.com/x",
        "http://",
        "http://user:secret@127.0.0.1/",
        "javascript:alert(1)",
        "http://[::1",
        "http://127.0.0.1:1/x",
    )
    place = exchange.rand.choice(places)
    return Answer(302, (("Location", place),), b"", note=f"302 to {place!r}").script()


def _submit_elsewhere(exchange: Exchange) -> Script:
    code = exchange.rand.choice((301, 302, 303, 307, 308))
    return Answer(code, (("Location", "/login.html"),), LOGIN_PAGE.body, note=f"{code} to a login page").script()


def _login_is_no_file(plan: Plan, file: FilePlan | None) -> bool:
    """Where HTML is expected, a page to log in is as good as any, but for what is announced."""
    return plan.media != "text/html" or announced(plan, file)


TRICKS = [
    Trick("redirects", GETS, _chain, _REDIRECT, runs=2),
    Trick("redirects-too-long", GETS, _too_long, _REDIRECT),
    Trick("redirect-loop", GETS, _loop, _REDIRECT),
    Trick("redirect-to-login", GETS, _to_login, _REDIRECT, fits=_login_is_no_file),
    Trick("redirect-nowhere", GETS, _nowhere, f"{_REDIRECT}|address|connect|sent|302"),
    Trick("submit-redirected", frozenset({"submit"}), _submit_elsewhere, _REDIRECT),
]
