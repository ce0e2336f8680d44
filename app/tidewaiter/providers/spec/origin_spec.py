"""The provider's origins besides that of its base URL, and which credentials may go there."""

import re
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, Field

from tidewaiter.domain.own_origins import ANY_LABEL
from tidewaiter.providers.spec.field_types import InvalidValueError, Name, SpecTable
from tidewaiter.providers.spec.value_spec import address

_SETTING: re.Pattern[str] = re.compile(r"\$\{account\.[a-z][a-z0-9_]*\}")
_HOST_BEHIND: re.Pattern[str] = re.compile(r"([a-z0-9-]+\.)+[a-z][a-z0-9-]*(:[0-9]{1,5})?")


def _origin(value: str) -> str:
    if value.startswith("${account."):
        return value
    if "*" in value:
        return _pattern(value)
    if not value.startswith("https://"):
        raise InvalidValueError("must begin with https:// or be ${account.NAME}, a setting of type url")
    # Settings within it are filled in for each account, and the address is checked again then.
    written = address(_SETTING.sub("x", value))
    return value if "${" in value else written


def _pattern(value: str) -> str:
    if not value.startswith(ANY_LABEL) or _HOST_BEHIND.fullmatch(value.removeprefix(ANY_LABEL)) is None:
        raise InvalidValueError(
            "may have one * only, as the whole first label of a host with two more labels, in lower case and without "
            "path: https://*.files.example.com"
        )
    return value


OriginTemplate: TypeAlias = Annotated[str, AfterValidator(_origin)]


class OriginSpec(SpecTable):
    """An origin that belongs to the provider, such as the host of its files.

    Requests, links and redirects may lead there with the account's credentials; every other origin gets none. A ``*``
    in place of the first label of the host stands for any one label. A request is sent there with ``base``.
    """

    url: OriginTemplate = Field(
        description="`https://host`, with a path if requests begin with it, and with settings as in "
        "`https://${account.region}.host.example`; `https://*.host.example` for many hosts; or `${account.NAME}`, a "
        "setting of type `url`"
    )
    auth: bool | Name = Field(
        default=True, description="the account's credentials, those of the table `auths` by their name, or none"
    )
