"""How an exchange over the network can fail, by what the remote may have seen of it.

``str()`` of each is one sentence for an operator. It names scheme, host and port at most, because a path or a query
may contain a secret.
"""


class TransportError(Exception):
    """The network or the remote broke an exchange."""


class NotSentError(TransportError):
    """The request provably never reached the remote: no name, no connection, or nothing that can be sent."""


class BlockedAddressError(NotSentError):
    """The address is private, loopback or otherwise not on the public internet, and no setting permits it."""


class TlsError(NotSentError):
    """The remote could not prove who it is, or no safe connection could be agreed on."""


class LostReplyError(TransportError):
    """The request was sent, or may have been, and no reply to it could be read."""


class BrokenBodyError(TransportError):
    """The reply's headers came, but its body was cut short, stalled, trickled or could not be decoded."""


class AccountPausedError(TransportError):
    """Nothing was sent: the account is paused."""


class DrainingError(AccountPausedError):
    """Nothing was sent: the daemon is about to give the account back, and the wait would take longer than that."""


class AccountClosedError(Exception):
    """Nothing was sent: the account is closed for another ``wait_s`` seconds, and the caller does not wait for it."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class LeaseOverError(Exception):
    """Nothing was sent: the lane's lease may have passed on to another daemon, which serves the account now.

    No ``TransportError``: neither the network nor the provider has failed.
    """


class RedirectRefusedError(TransportError):
    """The remote redirected us to an address that we do not follow."""


class HostClosedError(TransportError):
    """Nothing was sent: the host of a file asked to be left alone for another ``wait_s`` seconds."""

    def __init__(self, reason: str, wait_s: float) -> None:
        super().__init__(reason)
        self.wait_s = wait_s
