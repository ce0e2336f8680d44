"""ShareProgress's API: an organisation's pages, buttons and wrappers, and the statistics of their shares.

Source: ShareProgress's API document; headers, wordings and errors as recorded by public clients
(https://github.com/SumOfUs/share_progress). What they leave open is a variant.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from math import ceil
from typing import ClassVar, Final
from urllib.parse import parse_qsl

from tidewaiter.clock import Clock
from tidewaiter.emulators.controls import FaultKind, FaultRule
from tidewaiter.emulators.emulated_replies import Reply, json_reply, page_reply
from tidewaiter.emulators.form_fields import nested
from tidewaiter.emulators.request_limit import RequestLimit
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer, RecordedRequest
from tidewaiter.emulators.shareprogress_library import (
    TEMPLATES,
    FieldErrors,
    FormFields,
    SaveResult,
    ShareItem,
    ShareKind,
    ShareLibrary,
    Wrapper,
    analytics_of,
    number_of,
    text_of,
)
from tidewaiter.emulators.shareprogress_variants import (
    PER_MINUTE,
    BooleanForm,
    CapitalsForm,
    MessageForm,
    ShareProgressVariants,
)

_REFRESH_S: Final = 300
_PAGE: Final = 50
_JSON: Final = "application/json; charset=utf-8"
_FORM: Final = "application/x-www-form-urlencoded"
_MONTH_S: Final = 30 * 86_400
_NAMES: Final = {ShareKind.PAGES: "page", ShareKind.BUTTONS: "button"}
_WRAPPER_HTML: Final = "<!doctype html>\r\n<html><body>\r\n  {ShareAction}\r\n</body></html>\r\n"
_TOO_MANY: Final = "You have exceeded your rate limit of 30 requests per minute"
_AS_RECORDED: Final = ShareProgressVariants()


class ShareProgressEmulator(EmulatedServer):
    """The API of one organisation, which begins with this many ``pages`` and ``buttons`` and one wrapper.

    It permits 30 requests a minute in a sliding window; those with a bad key do not count. Times in replies are
    ``skew_s`` seconds ahead of the clock: the recorded API was about a minute behind.

    Routes: ``page_update``, ``page_read``, ``page_analytics``, ``page_delete``, ``page_index``, the same for
    ``button``, all but analytics for ``wrapper``, and ``account``. ``gone`` on any route: the object is not found;
    ``error_status``: a failure with status 200 and ``text`` as the message; ``revoked``: the key is invalid from now
    on.
    """

    software: ClassVar[str] = "Cowboy"
    variants: ShareProgressVariants

    def __init__(
        self,
        *,
        clock: Clock,
        key: str,
        pages: int = 3,
        buttons: int = 2,
        variants: ShareProgressVariants = _AS_RECORDED,
        skew_s: float = -60.0,
        faults: Sequence[FaultRule] = (),
        port: int = 0,
    ) -> None:
        super().__init__(clock=clock, faults=faults, port=port, skew_s=skew_s)
        self.key = key
        self.variants = variants
        self.library = ShareLibrary(TEMPLATES | {*variants.templates})
        self._window = RequestLimit(PER_MINUTE, 60)
        self._analysed: dict[tuple[ShareKind, int | None], float] = {}
        self._stock(pages, buttons)

    @property
    def base_url(self) -> str:
        """The address of the API, without a slash at the end."""
        return f"{self.origin}/api/v1"

    def routes(self) -> Iterable[EmulatedRoute]:
        """Every object and method, under the version and, as the document allows, without it."""
        for base in ("/api/v1", "/api"):
            for kind, name in _NAMES.items():
                yield from self._both(f"{name}_index", f"{base}/{kind}", self._of(kind, self._index))
                yield from self._both(f"{name}_read", f"{base}/{kind}/read", self._of(kind, self._read))
                yield from self._both(f"{name}_analytics", f"{base}/{kind}/analytics", self._of(kind, self._analytics))
                yield self._post(f"{name}_update", f"{base}/{kind}/update", self._of(kind, self._update))
                yield self._post(f"{name}_delete", f"{base}/{kind}/delete", self._of(kind, self._delete))
            yield from self._both("wrapper_index", f"{base}/wrappers", self._wrapper_index)
            yield from self._both("wrapper_read", f"{base}/wrappers/read", self._wrapper_read)
            yield from self._both("wrapper_delete", f"{base}/wrappers/delete", self._wrapper_delete)
            yield self._post("wrapper_update", f"{base}/wrappers/update", self._wrapper_update)
            yield from self._both("account", f"{base}/account", self._account)

    def refusal(self, status: int, message: str) -> Reply:
        """An error in the form of this API: a bad key has its own form, and a 429 says when to try again."""
        if status == 401:
            return self._reply(failed("Bad API Key"), 500)
        if status == 429:
            return self._too_many()
        return self._limited(self._reply(failed(message), status))

    def unknown(self, call: EmulatedCall) -> Reply:
        """Not found; the request counts."""
        return self._guarded("method", lambda _fields: self._missing("Methods"))(call)

    def _stock(self, pages: int, buttons: int) -> None:
        """The first objects of the organisation, a month old."""
        since = self.clock.now() - _MONTH_S
        self.library.save_wrapper({"name": "Default Wrapper", "html": _WRAPPER_HTML}, None)
        tested = {"facebook": [{"facebook_title": "One"}, {"facebook_title": "Other"}]}
        for number in range(pages):
            url = f"https://example.org/petition-{number + 1}"
            self.library.save(
                ShareKind.PAGES, {"page_url": url, "variants": tested if number == 0 else {}}, None, since
            )
        for number in range(buttons):
            fields = {"page_url": f"https://example.org/petition-{number + 1}", "button_template": "sp_fb_large"}
            self.library.save(ShareKind.BUTTONS, {**fields, "variants": tested if number == 0 else {}}, None, since)

    # Routing: the key, the count, and only then the method.

    def _post(self, name: str, path: str, answer: Callable[[FormFields], Reply]) -> EmulatedRoute:
        return EmulatedRoute(name, "POST", path, self._guarded(name, answer))

    def _both(self, name: str, path: str, answer: Callable[[FormFields], Reply]) -> tuple[EmulatedRoute, EmulatedRoute]:
        guarded = self._guarded(name, answer)
        return EmulatedRoute(name, "GET", path, guarded), EmulatedRoute(name, "POST", path, guarded)

    def _of(self, kind: ShareKind, answer: Callable[[ShareKind, FormFields], Reply]) -> Callable[[FormFields], Reply]:
        return lambda fields: answer(kind, fields)

    def _guarded(self, name: str, answer: Callable[[FormFields], Reply]) -> Callable[[EmulatedCall], Reply]:
        delayed = name.endswith("_update")

        def guarded(call: EmulatedCall) -> Reply:
            fields = _fields(call.request)
            if fields is None:
                return page_reply(400, "Bad Request")
            if call.fault.kind is FaultKind.REVOKED:
                self.key = f"{self.key}, revoked"
            if fields.get("key") != self.key:
                return self.refusal(401, "")
            if self._remaining() == 0:
                return self._too_many()
            self._window.take(self.clock.monotonic())
            match call.fault.kind:
                case FaultKind.GONE:
                    reply = self._missing(f"{name.partition('_')[0].capitalize()}s")
                case FaultKind.ERROR_STATUS:
                    reply = self._reply(failed(call.fault.text or "Something went wrong"))
                case _:
                    reply = answer(fields)
            delay_s = self.variants.reply_s + (self.variants.scrape_s if delayed else 0)
            return replace(self._limited(reply), delay_s=delay_s)

        return guarded

    # The limit, as the recorded headers show it.

    def _remaining(self) -> int:
        return max(0, self._window.remaining(self.clock.monotonic()) - self.variants.spent_by_others)

    def _limited(self, reply: Reply, remaining: int | None = None) -> Reply:
        now = self.clock.monotonic()
        reset_at = self.server_now() + self._window.oldest_leaves_at(now) - now
        headers = {
            "X-Ratelimit-Limit": str(PER_MINUTE),
            "X-Ratelimit-Remaining": str(self._remaining() if remaining is None else remaining),
            "X-Ratelimit-Reset": str(int(reset_at)),
        }
        return replace(reply, headers={**reply.headers, **headers})

    def _too_many(self) -> Reply:
        reply = self._limited(self._reply(failed(_TOO_MANY), 429), remaining=0)
        if not self.variants.retry_after:
            return reply
        now = self.clock.monotonic()
        wait_s = self._window.oldest_leaves_at(now) - now
        return replace(reply, headers={**reply.headers, "Retry-After": str(ceil(wait_s))})

    # Pages and buttons.

    def _index(self, kind: ShareKind, fields: FormFields) -> Reply:
        now = self.clock.now()
        seen = [
            entry for entry in self.library.shared[kind].values() if entry.created_at <= now - self.variants.index_lag_s
        ]
        searched = text_of(fields.get("search")).lower()
        found = [entry for entry in reversed(seen) if searched in f"{entry.page_title}\n{entry.page_url}".lower()]
        limit = _or(number_of(fields.get("limit")), _PAGE)
        offset = _or(number_of(fields.get("offset")), 0)
        part = found[offset : offset + limit]
        return self._done([entry.listed(now) for entry in part])

    def _read(self, kind: ShareKind, fields: FormFields) -> Reply:
        entry = self._entry(kind, fields)
        return self._missing(kind.capitalize()) if entry is None else self._done([self._shown(entry)])

    def _update(self, kind: ShareKind, fields: FormFields) -> Reply:
        entry = self._entry(kind, fields)
        if entry is None and fields.get("id"):
            return self._missing(kind.capitalize())
        saved = self.library.save(kind, fields, entry, self.clock.now())
        return self._saved(saved)

    def _saved(self, saved: SaveResult) -> Reply:
        shown = self._shown(saved.entry)
        return self._invalid([shown], saved.errors) if saved.errors else self._done([shown])

    def _delete(self, kind: ShareKind, fields: FormFields) -> Reply:
        entry = self._entry(kind, fields)
        if entry is None or entry.id is None:
            return self._missing(kind.capitalize())
        del self.library.shared[kind][entry.id]
        return self._done([entry.listed(self.clock.now())])

    def _analytics(self, kind: ShareKind, fields: FormFields) -> Reply:
        entry = self._entry(kind, fields)
        if entry is None:
            return self._missing(kind.capitalize())
        now = self.clock.now()
        at = self._analysed.get((kind, entry.id))
        if at is None or now - at >= _REFRESH_S:
            at = self._analysed[kind, entry.id] = now
        data = analytics_of(entry, at, singles=self.variants.single_tests)
        data["total"] = self._totals(kind, data["total"])
        if self.variants.analytics_time_key is not None:
            data[self.variants.analytics_time_key] = int(at + self.skew_s)
        return self._done([data])

    def _totals(self, kind: ShareKind, totals: object) -> dict[str, object]:
        data = dict(totals) if isinstance(totals, Mapping) else {}
        if self.variants.visitors_as_text:
            data["total_visitors"] = str(data["total_visitors"])
        capitals = self.variants.capital_totals
        if capitals is CapitalsForm.ALL or (capitals is CapitalsForm.BUTTONS and kind is ShareKind.BUTTONS):
            return {name.capitalize(): value for name, value in data.items()}
        return data

    def _entry(self, kind: ShareKind, fields: FormFields) -> ShareItem | None:
        number = number_of(fields.get("id"))
        return None if number is None else self.library.shared[kind].get(number)

    def _shown(self, entry: ShareItem) -> dict[str, object]:
        shown = entry.shown(self.clock.now())
        renamed = {
            str(self.variants.params_key) if name == "customize_params" else name: value
            for name, value in entry.options.items()
        }
        return {**shown, "advanced_options": renamed}

    # Wrappers, and the account.

    def _wrapper_index(self, _fields: FormFields) -> Reply:
        return self._done([self._wrapper_row(wrapper) for wrapper in self.library.wrappers.values()])

    def _wrapper_read(self, fields: FormFields) -> Reply:
        wrapper = self._wrapper(fields)
        if wrapper is None:
            return self._missing("Wrappers")
        return self._done([{**self._wrapper_row(wrapper), "html": wrapper.html}])

    def _wrapper_update(self, fields: FormFields) -> Reply:
        known = self._wrapper(fields)
        if known is None and fields.get("id"):
            return self._missing("Wrappers")
        wrapper, errors = self.library.save_wrapper(fields, known)
        if wrapper is None:
            return self._invalid([{"id": known.id if known else None, "name": text_of(fields.get("name"))}], errors)
        return self._done([{"id": wrapper.id, "name": wrapper.name}])

    def _wrapper_delete(self, fields: FormFields) -> Reply:
        wrapper = self._wrapper(fields)
        if wrapper is None:
            return self._missing("Wrappers")
        del self.library.wrappers[wrapper.id]
        return self._done([{"id": wrapper.id}])

    def _wrapper(self, fields: FormFields) -> Wrapper | None:
        number = number_of(fields.get("id"))
        return None if number is None else self.library.wrappers.get(number)

    def _wrapper_row(self, wrapper: Wrapper) -> dict[str, object]:
        return {"id": wrapper.id, "name": wrapper.name, "default": wrapper.id == self.library.default_wrapper}

    def _account(self, _fields: FormFields) -> Reply:
        row = {
            "account_name": "My Organization",
            "billing_start": "2013-02-28T23:14:27+00:00",
            "billing_end": "2013-03-28T23:14:27+00:00",
            "shares_this_cycle": 50,
            "share_budget": 1250,
            "plan": "basic",
            "monthly_cost": "50",
        }
        return self._done([row])

    # The envelope.

    def _done(self, rows: list[dict[str, object]]) -> Reply:
        return self._reply({"success": True, "response": rows, "message": self.variants.success_message})

    def _invalid(self, rows: list[dict[str, object]], errors: FieldErrors) -> Reply:
        return self._reply({"success": False, "response": rows, "message": self._worded(errors)})

    def _worded(self, errors: FieldErrors) -> object:
        messages = [f"{name} {complaint}" for name, complaints in errors.items() for complaint in complaints]
        match self.variants.failure_message:
            case MessageForm.OBJECT:
                return errors
            case MessageForm.LIST:
                return messages
            case MessageForm.TEXT:
                return "; ".join(messages)

    def _missing(self, kind: str) -> Reply:
        return self._reply(failed(f"Can't find that {kind}"), 404)

    def _reply(self, envelope: dict[str, object], status: int = 200) -> Reply:
        booleans = self.variants.booleans
        if booleans is not BooleanForm.REAL:
            envelope["response"] = _without_booleans(envelope["response"])
        if booleans is BooleanForm.ALL:
            envelope["success"] = _without_booleans(envelope["success"])
        return replace(json_reply(envelope, status), content_type=_JSON)


def failed(message: str) -> dict[str, object]:
    """The envelope of a failure without an object."""
    return {"success": False, "message": message, "response": []}


def _or(number: int | None, default: int) -> int:
    return default if number is None else number


def _fields(request: RecordedRequest) -> FormFields | None:
    """The sent fields, from the query, a JSON object or a form; ``None`` if the body is malformed."""
    query = nested(parse_qsl(request.path_qs.partition("?")[2], keep_blank_values=True))
    kind = request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not request.body.strip():
        return query
    if kind == _FORM:
        return query | nested(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True))
    if not kind.endswith("json"):
        return query
    try:
        sent = json.loads(request.body)
    except ValueError:
        return None
    return query | sent if isinstance(sent, dict) else None


def _without_booleans(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return [_without_booleans(item) for item in value]
    return {key: _without_booleans(item) for key, item in value.items()} if isinstance(value, dict) else value
