"""How OneAll wraps its replies: one envelope for successes, errors and pingbacks.

Source: the examples in http://docs.oneall.com/api/resources/sharing-analytics/.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Final, TypeAlias

from app.clock import Clock
from app.emulators.wire import Reply, json_reply

Told: TypeAlias = dict[str, object]

DONE: Final = "Your request has been processed successfully"
_ZONE: Final = timezone(timedelta(hours=1))


@dataclass(frozen=True, slots=True)
class Envelope:
    """Wraps replies with one server's clock.

    ``http_statuses`` has the HTTP status of a reply by the code in its envelope, if the two differ. Without
    ``error_info`` errors have no ``info``.
    """

    clock: Clock
    http_statuses: Mapping[int, int]
    error_info: bool

    def success(self, resource: str, told: Told | None = None, info: str = DONE) -> Reply:
        """A plain success."""
        return self.reply(resource, 200, "success", info, told)

    def error(self, resource: str, code: int, info: str) -> Reply:
        """An error, which never has a result."""
        return self.reply(resource, code, "error", info if self.error_info else None)

    def reply(self, resource: str, code: int, flag: str, info: str | None, told: Told | None = None) -> Reply:
        """Any reply about ``resource``, which is the path of the request; ``told`` is its data."""
        status: Told = {"flag": flag, "code": code}
        if info is not None:
            status["info"] = info
        response: Told = {"request": {"date": date_text(self.clock.now()), "resource": resource, "status": status}}
        if told is not None:
            response["result"] = {"data": told}
        return json_reply({"response": response}, self.http_statuses.get(code, code))


def date_text(at: float) -> str:
    """A time (epoch seconds) as this API writes it, in the form of RFC 2822."""
    return format_datetime(datetime.fromtimestamp(int(at), _ZONE))
