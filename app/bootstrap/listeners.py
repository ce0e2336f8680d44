"""The addresses on which a daemon of a configuration listens, so that other processes refuse them as it does."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from app.config import Config, host_and_port
from app.transport.own import OwnListeners


@contextmanager
def configured_listeners(config: Config) -> Iterator[OwnListeners]:
    """The listeners that the configuration names, whether a daemon runs or not."""
    own = OwnListeners()
    with ExitStack() as stack:
        for listen in (config.http.listen, config.callbacks.listen):
            if listen is not None:
                stack.enter_context(own.at(*host_and_port(listen)))
        yield own
