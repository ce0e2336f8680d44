"""Redirects: chains of hops in every way of writing a Location, with or without a cookie that the next hop wants."""

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.lying.answers import Answer, Request

if TYPE_CHECKING:
    from tests.lying.remote import Remote

STYLES = ("absolute", "path", "relative", "scheme-relative", "unencoded", "fragment", "foreign", "there-and-back")
LOGIN_PAGE = Answer(
    200, (("Content-Type", "text/html"),), b"<!DOCTYPE html><html><form>Log in</form></html>", note="a login page"
)


@dataclass(slots=True)
class Hop:
    """One chain: what was asked for at its start, how many hops are left, how they are written."""

    kind: str
    request: Request
    left: int
    style: str
    cookie: bool
    endless: bool = False
    status: int = 302


@dataclass(slots=True)
class Hops:
    """The chains of one remote."""

    chains: dict[str, Hop] = field(default_factory=dict)

    def begin(self, hop: Hop, remote: "Remote") -> Answer:
        """The redirect that a chain begins with."""
        name = f"c{len(self.chains)}"
        self.chains[name] = hop
        return self._redirect(name, hop, remote, hop.left)

    def at(self, path: str) -> Hop | None:
        """The chain that a path belongs to, where it is one."""
        match = re.match(r"/hop/(c\d+)/", path)
        return self.chains.get(match[1]) if match else None

    def passed(self, hop: Hop, request: Request, remote: "Remote") -> Answer | None:
        """The next redirect, or the login page where the cookie is missing; ``None`` at the end of the chain."""
        match = re.search(r"/hop/(c\d+)/(\d+)", request.path)
        assert match is not None
        name, left = match[1], int(match[2])
        if hop.cookie and f"hop={name}" not in request.fields.get("cookie", ""):
            return LOGIN_PAGE
        if left > 1 or hop.endless:
            return self._redirect(name, hop, remote, left if hop.endless else left - 1)
        return None

    def _redirect(self, name: str, hop: Hop, remote: "Remote", left: int) -> Answer:
        fields = [("Location", self._location(name, hop, remote, left))]
        if hop.cookie:
            fields.append(("Set-Cookie", f"hop={name}; Path=/; HttpOnly"))
            fields.append(("Set-Cookie", "other=cookie-of-own"))
        note = f"{hop.status} to {fields[0][1]!r}{' with a cookie' if hop.cookie else ''}"
        return Answer(hop.status, tuple(fields), b"", note=note)

    def _location(self, name: str, hop: Hop, remote: "Remote", left: int) -> str:
        path = f"/m{remote.plan.seed}/hop/{name}/{left}"
        own, foreign = remote.origin.own, remote.origin.foreign
        match hop.style:
            case "path":
                return path
            case "relative":
                depth = hop.request.path.count("/") - 1 if left == hop.left else 4
                return "../" * depth + path.removeprefix("/")
            case "scheme-relative":
                return own.removeprefix("http:") + path
            case "unencoded":
                return f'{own}{path}/a b/ü|{{x}}?q=ä "z"'
            case "fragment":
                return f"{own}{path}#part"
            case "foreign":
                return foreign + path
            case "there-and-back":
                return (foreign if left % 2 else own) + path
            case _:
                return own + path
