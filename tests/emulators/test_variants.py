"""Variants for what documentation leaves open, set while a server runs."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, ClassVar

import aiohttp
import pytest
from pydantic import ConfigDict, Field

from tests.emulators.manual_clock import ManualClock
from tidewaiter.emulators.controls import STRICT, NoVariants, changed, variants_to_json
from tidewaiter.emulators.emulated_replies import Reply, json_reply
from tidewaiter.emulators.server import EmulatedCall, EmulatedRoute, EmulatedServer


@dataclass(frozen=True, slots=True)
class Manners:
    """Two things left open."""

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    greeting: str = "hello"
    bows: Annotated[int, Field(ge=0)] = 1


class Host(EmulatedServer):
    """A server that greets as it is told."""

    def routes(self) -> Iterable[EmulatedRoute]:
        """One greeting."""
        self.variants = Manners()
        return [EmulatedRoute("greet", "GET", "/", self._greet)]

    def _greet(self, _call: EmulatedCall) -> Reply:
        return json_reply([self.variants.greeting] * self.variants.bows)


def test_only_what_is_named_changes() -> None:
    """Members that are not named keep what they were, and the whole can be told as JSON."""
    bowing = changed(Manners("good day"), b'{"bows": 3}')
    assert bowing == Manners("good day", 3)
    assert variants_to_json(bowing) == b'{"greeting":"good day","bows":3}'


@pytest.mark.parametrize("text", [b'{"curtsies": 1}', b'{"bows": -1}', b'{"bows": null}', b"[]", b"{", b"null"])
def test_mistakes(text: bytes) -> None:
    """An unknown member, a value out of range, and what is no object at all."""
    with pytest.raises(ValueError, match=r"curtsies|bows|object|JSON"):
        changed(Manners(), text)


def test_where_nothing_is_open_nothing_can_be_changed() -> None:
    """A server without variants refuses every member."""
    assert changed(NoVariants(), b"{}") == NoVariants()
    with pytest.raises(ValueError, match="bows"):
        changed(NoVariants(), b'{"bows": 1}')


async def test_the_control_endpoint(clock: ManualClock, client: aiohttp.ClientSession) -> None:
    """PATCH changes how the running server answers, GET tells it, and a mistake is 400 and changes nothing."""
    async with Host(clock=clock) as host:
        url = f"{host.origin}/_control/variants"
        async with client.patch(url, json={"bows": 2}) as reply:
            assert (reply.status, await reply.json()) == (200, {"greeting": "hello", "bows": 2})
        async with client.patch(url, json={"bows": "many"}) as reply:
            assert (reply.status, "bows" in await reply.text()) == (400, True)
        async with client.get(url) as reply:
            assert await reply.json() == {"greeting": "hello", "bows": 2}
        async with client.get(host.origin) as reply:
            assert await reply.json() == ["hello", "hello"]
        assert [asked.route for asked in host.requests] == ["greet"]
