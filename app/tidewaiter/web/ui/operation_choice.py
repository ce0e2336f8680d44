"""The choice of an account and an operation, with which the forms for exports and backfills begin."""

from collections.abc import Mapping

from aiohttp import web
from yarl import URL

from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.spec.provider_spec import OperationSpec
from tidewaiter.services import NotFoundError
from tidewaiter.web.ui.page_renderer import PageRenderer


def chosen_account(request: web.Request, accounts: Mapping[str, BoundAccount]) -> str | None:
    """The account that the address names, or the only one that there is."""
    name = request.query.get("account")
    return next(iter(accounts)) if name is None and len(accounts) == 1 else name


def operation_of(accounts: Mapping[str, BoundAccount], name: str, operation: str) -> OperationSpec:
    """An operation of an account.

    Raises:
        NotFoundError: there is no such account, or it has no such operation.
    """
    account = _account(accounts, name)
    if operation not in account.operations:
        raise NotFoundError(f"the account {name!r} has no operation {operation[:64]!r}")
    return account.operations[operation].parts.spec


def choice_page(
    renderer: PageRenderer, request: web.Request, accounts: Mapping[str, BoundAccount], *, path: str, title: str
) -> web.Response:
    """The page on which a person chooses; the form is at ``path`` with the chosen account and operation.

    Raises:
        NotFoundError: the address names an account that there is not.
    """
    name = chosen_account(request, accounts)
    account = None if name is None else _account(accounts, name)
    return renderer.page(
        request,
        "new-job-choice.html",
        title=title,
        form=path,
        accounts=[one for _, one in sorted(accounts.items())],
        account=account,
        operations=[] if account is None else _operations(account, path),
    )


def _account(accounts: Mapping[str, BoundAccount], name: str) -> BoundAccount:
    if name not in accounts:
        raise NotFoundError(f"there is no account {name[:64]!r} in the configuration")
    return accounts[name]


def _operations(account: BoundAccount, path: str) -> list[tuple[str, str, str]]:
    """The name, the title and the address of the form of each operation."""
    return [
        (name, bound.parts.spec.title, str(URL(path).with_query({"account": account.name, "operation": name})))
        for name, bound in sorted(account.operations.items())
    ]
