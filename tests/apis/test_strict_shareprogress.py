"""ShareProgress against a server that was written from its documentation alone."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web

from tests.apis.strict_server import StrictServer, UndocumentedError, only
from tests.support.one_export import Landed, listening, run
from tidewaiter.domain.http_values import Json
from tidewaiter.domain.job import State

_KEY: Final = "made-up-key"
_NUMBER: Final = (int, str)
_CHANNELS: Final = {"f": str, "e": str, "t": str, "o": str}
_VARIANTS: Final = {
    "facebook": [
        {"facebook_title": str, "facebook_description": str, "facebook_thumbnail": str, "id": int, "_destroy": bool}
    ],
    "email": [{"email_subject": str, "email_body": str, "id": int, "_destroy": bool}],
    "twitter": [{"twitter_message": str, "id": int, "_destroy": bool}],
}
_OPTIONS: Final = {
    "prompt": str, "automatic_traffic_routing": bool, "buttons_optimize_actions": bool,
    "custom_params": {"prompt": str, **_CHANNELS}, "customize_params": {"param": str, **_CHANNELS},
    "id_pass": {"id": str, "passed": str},
}  # fmt: skip
_SAVED: Final = {
    "key": str, "id": int, "page_url": str, "wrapper_id": int, "page_title": str, "auto_fill": bool,
    "variants": _VARIANTS, "advanced_options": _OPTIONS,
}  # fmt: skip
_SHAPES: Final[dict[str, dict[str, Any]]] = {
    "/pages/update": {**_SAVED, "html_title": str},
    "/buttons/update": {**_SAVED, "button_template": str},
    "/wrappers/update": {"key": str, "id": int, "name": str, "default": bool, "html": str},
    **{
        f"/{kind}/{method}": {"key": str, "id": int}
        for kind in ("pages", "buttons", "wrappers")
        for method in ("read", "delete", "analytics")
        if (kind, method) != ("wrappers", "analytics")
    },
    "/pages": {"key": str, "limit": _NUMBER, "offset": _NUMBER, "search": str},
    "/buttons": {"key": str, "limit": _NUMBER, "offset": _NUMBER, "search": str},
    "/wrappers": {"key": str},
    "/account": {"key": str},
}
_GETTABLE: Final = [path for path in _SHAPES if not path.endswith(("s/update", "pages/delete", "buttons/delete"))]


class Api(StrictServer):
    """Every object and method of the document; an index has ``known`` entries."""

    known: int = 120

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add them."""
        for path in _SHAPES:
            router.add_post(f"/api/v1{path}", self.answer)
            if path in _GETTABLE:
                router.add_get(f"/api/v1{path}", self.answer)

    async def answer(self, request: web.Request) -> web.Response:
        """Answer as the samples do."""
        path = request.path.removeprefix("/api/v1")
        only(request, *(_SHAPES[path] if request.method == "GET" else ()))
        is_get = request.method == "GET"
        sent: dict[str, Any] = dict(request.query) if is_get else await self.json_of(request, _SHAPES[path])
        if sent.get("key") != _KEY:
            raise UndocumentedError("the key is missing")
        rows = self._rows(path, sent)
        headers = {"X-RateLimit-Limit": "30", "X-RateLimit-Remaining": "29", "X-RateLimit-Reset": "1893456000"}
        return web.json_response({"success": True, "response": rows}, headers=headers)

    def _rows(self, path: str, sent: dict[str, Any]) -> list[dict[str, Any]]:
        if path.endswith("/update"):
            if "id" not in sent and not sent.get("page_url", sent.get("name")):
                raise UndocumentedError("page_url is required")
            return [{"id": sent.get("id", 10), **{name: one for name, one in sent.items() if name != "key"}}]
        if path in ("/pages", "/buttons"):
            start, most = int(sent.get("offset", 0)), int(sent.get("limit", 50))
            return [{"id": number, "page_title": "My great title"} for number in range(self.known)][
                start : start + most
            ]
        if path == "/account":
            return [{"account_name": "My Organization", "plan": "basic", "monthly_cost": "50"}]
        if path == "/wrappers":
            return [{"id": 10, "name": "Default Wrapper", "default": False}]
        return [{"id": int(sent["id"])}]


async def _run(out: Path, api: Api, operation: str, params: dict[str, Any], **settings: Json) -> Landed:
    given = {name: one if isinstance(one, str) else json.dumps(one) for name, one in params.items()}
    async with listening(api.app()) as server:
        landed = await run(out, "shareprogress", {"server": server, "key": _KEY, **settings}, operation, given)
    assert api.wrong == []
    return landed


def _json(landed: Landed) -> Any:
    assert (landed.job.state, landed.job.reason) == (State.SUCCEEDED, None)
    (content,) = landed.files.values()
    return json.loads(content)


_CONTENT: Final = {
    "facebook": [{"facebook_title": "T", "facebook_description": "D", "facebook_thumbnail": "http://a.example/b.png"}],
    "email": [{"email_subject": "S", "email_body": "Body {LINK}"}],
    "twitter": [{"twitter_message": "your tweet {LINK}"}],
}
_EDITED: Final = {**_CONTENT, "email": [{"email_subject": "S", "email_body": "Body {LINK}", "id": 5, "_destroy": True}]}
_NEW: Final = {"page_url": "http://your-page-url.com", "page_title": "The Page Title", "auto_fill": True,
               "wrapper_id": 30,
               "variants": _CONTENT}  # fmt: skip
_PASS: Final = {"id": "track_id", "passed": "referrer_id"}
_LINKED: Final = {"param": "param_to_use", "e": "email_source", "f": "facebook_source", "t": "twitter_source",
                  "o": "dark_social_source"}  # fmt: skip
_ON_PAGE: Final = {"prompt": "Share!", "automatic_traffic_routing": True, "customize_params": _LINKED, "id_pass": _PASS}
_ON_BUTTON: Final = {"automatic_traffic_routing": True, "buttons_optimize_actions": True, "customize_params": _LINKED}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("operation", "path", "params"),
    [
        ("page_create", "/pages/update", {**_NEW, "html_title": "H", "advanced_options": _ON_PAGE}),
        ("page_create", "/pages/update", {"page_url": "http://your-page-url.com"}),
        ("page_update", "/pages/update", {"id": 10, "variants": _EDITED}),
        ("page_read", "/pages/read", {"id": 10}),
        ("page_analytics", "/pages/analytics", {"id": 10}),
        ("page_delete", "/pages/delete", {"id": 10}),
        (
            "button_create",
            "/buttons/update",
            {**_NEW, "button_template": "sp_em_large", "advanced_options": _ON_BUTTON},
        ),
        ("button_update", "/buttons/update", {"id": 10, "button_template": "sp_tw_small", "variants": _EDITED}),
        ("button_read", "/buttons/read", {"id": 10}),
        ("button_analytics", "/buttons/analytics", {"id": 10}),
        ("button_delete", "/buttons/delete", {"id": 10}),
        ("wrapper_create", "/wrappers/update", {"name": "W", "html": "<b>{SHAREACTION}</b>", "default": True}),
        (
            "wrapper_update",
            "/wrappers/update",
            {"id": 48, "name": "W", "default": False, "html": "<b>{SHAREACTION}</b>"},
        ),
        ("wrapper_read", "/wrappers/read", {"id": 10}),
        ("wrapper_delete", "/wrappers/delete", {"id": 10}),
        ("wrapper_index", "/wrappers", {}),
        ("account", "/account", {}),
    ],
)
async def test_every_object_and_method(tmp_path: Path, operation: str, path: str, params: dict[str, Any]) -> None:
    """Each is one POST with the fields of the document, and the reply lands."""
    api = Api()
    _json(await _run(tmp_path, api, operation, params))
    assert api.asked == [f"POST /api/v1{path}"]
    assert api.bodies == [{"key": _KEY, **params}]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["page", "button"])
@pytest.mark.parametrize(
    ("params", "ids", "asked"),
    [
        ({}, range(120), [(50, 0), (50, 50), (50, 100)]),
        ({"limit": "10"}, range(10), [(10, 0)]),
        ({"limit": "10", "offset": "10"}, range(10, 20), [(10, 10)]),
        ({"limit": "200", "offset": "100"}, range(100, 120), [(200, 100)]),
        ({"offset": "30", "search": "great"}, range(30, 120), [(50, 30), (50, 80)]),
    ],
)
async def test_a_part_of_an_index(
    tmp_path: Path, kind: str, params: dict[str, str], ids: range, asked: list[tuple[int, int]]
) -> None:
    """The caller's limit is one request; an offset alone leaves out the beginning."""
    api = Api()
    landed = _json(await _run(tmp_path, api, f"{kind}_index", params))
    assert [row["id"] for row in landed] == list(ids)
    assert [(body["limit"], body["offset"]) for body in api.bodies] == asked
    assert {body.get("search") for body in api.bodies} == {params.get("search")}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["page", "button"])
async def test_custom_params_as_written(tmp_path: Path, kind: str) -> None:
    """Where the account says so each name goes out as the job has it; else as the samples of the document have it."""
    named = {"prompt": "source", "f": "facebook"}
    params = {**_NEW, "advanced_options": {"custom_params": named}}
    if kind == "button":
        params["button_template"] = "sp_fb_small"
    renamed, written = Api(), Api()
    _json(await _run(tmp_path / "a", renamed, f"{kind}_create", params))
    _json(await _run(tmp_path / "b", written, f"{kind}_create", params, custom_params="as_written"))
    samples = {"customize_params": {"param": "source", "f": "facebook"}}
    assert renamed.bodies[0]["advanced_options"] == samples
    assert written.bodies[0]["advanced_options"] == {"custom_params": named}
    both = Api()
    params["advanced_options"] = samples
    _json(await _run(tmp_path / "c", both, f"{kind}_create", params, custom_params="as_written"))
    assert both.bodies[0]["advanced_options"] == samples


@pytest.mark.parametrize("operation", ["button_create", "button_update"])
async def test_a_template_of_tomorrow(tmp_path: Path, operation: str) -> None:
    """It is sent as it was written."""
    api = Api()
    params = {**_NEW, "button_template": "sp_WhatsApp_large"} if operation == "button_create" else {
        "id": 10, "button_template": "sp_WhatsApp_large"}  # fmt: skip
    _json(await _run(tmp_path, api, operation, params))
    assert api.bodies[0]["button_template"] == "sp_WhatsApp_large"
