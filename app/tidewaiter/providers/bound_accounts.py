"""The accounts of a configuration: those that are bound to their providers, and those whose spec has faults."""

from collections.abc import Mapping

from tidewaiter.domain.account_scope import Scope
from tidewaiter.providers.provider import BoundAccount


class BoundAccounts(dict[str, BoundAccount]):
    """The accounts that can be served, by name.

    Args:
        bound: these accounts.
        faulty: the configured accounts that cannot be, because the spec of their provider has faults, each with the
            reason.
    """

    def __init__(
        self, bound: Mapping[str, BoundAccount] | None = None, faulty: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(bound or {})
        self.faulty = dict(faulty or {})


def accounts_within(accounts: Mapping[str, BoundAccount], scope: Scope) -> BoundAccounts:
    """Those of these accounts that a caller may see."""
    faulty = {name: reason for name, reason in faulty_among(accounts).items() if name in scope}
    return BoundAccounts({name: one for name, one in accounts.items() if name in scope}, faulty)


def faulty_among(accounts: Mapping[str, BoundAccount]) -> Mapping[str, str]:
    """The accounts beside these whose spec has faults, each with the reason."""
    return accounts.faulty if isinstance(accounts, BoundAccounts) else {}
