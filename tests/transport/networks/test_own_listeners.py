"""No request reaches a listener of this daemon, whatever address leads to it."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.byte_servers import answering, reply, serving
from tests.transport.networks.named_servers import Names, doors, got, networks, refused
from tidewaiter.domain.networks import PermittedNetworks
from tidewaiter.transport.address_guard import Guard, OwnListeners
from tidewaiter.transport.aiohttp_wire import AiohttpWire


@pytest.fixture
def own() -> Iterator[tuple[OwnListeners, ExitStack]]:
    """Listeners, and a stack to add some."""
    with ExitStack() as stack:
        yield OwnListeners(), stack


EVERY: list[PermittedNetworks] = [True, networks("127.0.0.0/8", "::1/128"), networks("0.0.0.0/0", "::/0")]


@pytest.mark.parametrize("private_ok", EVERY)
async def test_a_listener_of_our_own_is_not_reached(names: Names, private_ok: PermittedNetworks) -> None:
    """By address, name, mapped form and the address of no host; another port, and another address, are."""
    own = OwnListeners()
    names.answers["tide.example"] = [["127.0.0.1"]]
    async with (
        doors("127.0.0.1", "127.0.0.2") as site,
        serving(answering(reply(200, b"other port"))) as other,
        AiohttpWire(own, names) as wire,
    ):
        with own.at("127.0.0.1", site.port):
            for host in ("127.0.0.1", "tide.example", "[::ffff:127.0.0.1]", "0.0.0.0"):  # noqa: S104
                told = await refused(wire, f"http://{host}:{site.port}/", private_ok)
                assert told.endswith("is a listener of this daemon; no setting permits it.")
            assert await got(wire, f"http://127.0.0.2:{site.port}/", private_ok) == b"127.0.0.2"
            assert await got(wire, f"{other.origin}/", private_ok) == b"other port"
        assert site.seen["127.0.0.1"] == 0
        assert await got(wire, f"http://127.0.0.1:{site.port}/", private_ok) == b"127.0.0.1"


@pytest.mark.parametrize("listen", ["0.0.0.0", "::", "tide.internal"])  # noqa: S104
def test_a_listener_on_every_address(own: tuple[OwnListeners, ExitStack], listen: str) -> None:
    """Every address of an interface of this machine leads to it, and no other machine's does."""
    listeners, stack = own
    stack.enter_context(listeners.at(listen, 8091))
    guard = Guard(networks("0.0.0.0/0", "::/0"), listeners)
    for address in ("127.0.0.1", "127.8.8.8", "::1", "::", "0.0.0.0", "::ffff:127.0.0.1", *own_addresses()):  # noqa: S104
        refusal = guard.refusal(address, 8091)
        assert refusal is not None, address
        assert refusal.kind == "a listener of this daemon"
        assert guard.refusal(address, 8092) is None, address
    assert guard.refusal("10.99.99.99", 8091) is None
    assert guard.refusal("fd12:3456::1", 8091) is None


def test_a_socket_as_it_is_bound() -> None:
    """The port that the kernel chose is the one that counts, and without a listener there is nothing."""
    own = OwnListeners()
    with socket.create_server(("127.0.0.1", 0)) as bound, own.listening(bound), own.listening(None):
        port = bound.getsockname()[1]
        assert Guard(True, own).refusal("127.0.0.1", port) is not None
    assert Guard(True, own).refusal("127.0.0.1", port) is None


def own_addresses() -> list[str]:
    """The address from which this machine would send to another, where there is a way to one; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))
        except OSError:
            return []
        return [str(probe.getsockname()[0])]
