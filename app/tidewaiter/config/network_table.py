"""``[network]``: how the daemon reaches other machines."""

from ipaddress import ip_address
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator

from tidewaiter.config.value_types import ResolvedPath, Text
from tidewaiter.toml_table import TomlTable
from tidewaiter.transport.proxies import ENVIRONMENT, Proxy, proxy_exceptions


def _proxy(text: str) -> str:
    if text == ENVIRONMENT:
        return text
    proxy = Proxy.parse(text)
    if proxy.user is not None:
        raise ValueError("carries a user name; give it as proxy_user, and the password as proxy_password_file")
    return proxy.url


def _hosts(value: object) -> object:
    """Hosts; one text, as in an environment variable, may name several, separated by commas."""
    given = [part for part in value.replace(",", " ").split() if part] if isinstance(value, str) else value
    if not isinstance(given, list | tuple) or not all(isinstance(one, str) for one in given):
        raise ValueError('must be an array of hosts, such as ["intranet.example", "10.0.0.0/8"]')
    return proxy_exceptions(map(str, given))


def _address(text: str) -> str:
    try:
        address = ip_address(text)
    except ValueError:
        raise ValueError("must be an address of this machine, such as 192.0.2.10") from None
    return str(address)


class NetworkTable(TomlTable):
    """``[network]``: how connections to providers, hosts of files and receivers of webhooks are made."""

    ca_file: ResolvedPath | None = Field(
        default=None,
        description="path of a file with certificate authorities in PEM form, trusted in addition to the system's",
        examples=["/etc/tidewaiter/tls/company-ca.pem"],
    )
    proxy: Annotated[str, AfterValidator(_proxy)] | None = Field(
        default=None,
        description="the HTTP proxy that all requests go through, those to a bucket too; "
        '"environment" takes HTTP_PROXY, HTTPS_PROXY and NO_PROXY, which are ignored otherwise',
        examples=["http://proxy.example:3128"],
    )
    proxy_user: Text | None = Field(
        default=None, description="user name at the proxy (Basic authentication)", examples=["tidewaiter"]
    )
    proxy_password: Text | None = Field(
        default=None, repr=False, description="password at the proxy, best as proxy_password_file"
    )
    no_proxy: Annotated[tuple[str, ...], BeforeValidator(_hosts, json_schema_input_type=tuple[str, ...] | str)] = Field(
        default=(),
        description="hosts that are reached without the proxy: names with their subdomains, addresses and networks; "
        "this machine itself always is",
        examples=[["intranet.example", "10.0.0.0/8"]],
    )
    source_address: Annotated[str, AfterValidator(_address)] | None = Field(
        default=None,
        description="address of this machine that connections come from; the database does not "
        "use it, and with a bucket it is refused",
        examples=["192.0.2.10"],
    )

    @field_validator("proxy_user")
    @classmethod
    def _user_of_a_proxy(cls, user: str | None, info: ValidationInfo) -> str | None:
        if user is None or "proxy" not in info.data:
            return user
        if info.data["proxy"] in (None, ENVIRONMENT):
            raise ValueError("needs the address of a proxy in proxy; variables of the environment carry their own")
        if ":" in user:
            raise ValueError("must have no colon: Basic authentication cannot express it")
        return user

    @field_validator("proxy_password")
    @classmethod
    def _password_of_a_user(cls, password: str | None, info: ValidationInfo) -> str | None:
        if password is not None and info.data.get("proxy_user", "faulty") is None:
            raise ValueError("needs proxy_user as well")
        return password
