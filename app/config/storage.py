"""``[storage]``: a folder, or a bucket and how it is reached."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from app.config.base import Table, from_folder

_Text: TypeAlias = Annotated[str, Field(min_length=1)]
_Secret: TypeAlias = Annotated[_Text | None, Field(repr=False)]


class StorageOptionsTable(Table):
    """``[storage.options]``: how a bucket is reached; what is left out comes from the environment or the machine."""

    allow_http: bool = False
    proxy_url: _Text | None = None
    root_certificate: _Text | None = None

    endpoint: _Text | None = None
    region: _Text | None = None
    access_key_id: _Text | None = None
    secret_access_key: _Secret = None
    session_token: _Secret = None
    virtual_hosted_style_request: bool | None = None
    conditional_put: bool | None = None
    checksum_algorithm: Literal["sha256", "crc64nvme"] | None = None
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = None
    sse_kms_key_id: _Text | None = None

    service_account_key: _Secret = None

    account_name: _Text | None = None
    account_key: _Secret = None
    sas_key: _Secret = None
    tenant_id: _Text | None = None
    client_id: _Text | None = None
    client_secret: _Secret = None

    @property
    def given(self) -> Mapping[str, str | bool]:
        """What was written, by its key."""
        return {name: value for name, value in self if value is not None and name in self.model_fields_set}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that are secret wherever they were written."""
        secrets = (self.secret_access_key, self.session_token, self.service_account_key)
        return tuple(filter(None, (*secrets, self.account_key, self.sas_key, self.client_secret)))


_OF_ANY_BUCKET: Final = frozenset({"allow_http", "proxy_url", "root_certificate"})
_OF_BUCKETS: Final[Mapping[str, frozenset[str]]] = {
    "s3": frozenset(
        {
            "endpoint",
            "region",
            "access_key_id",
            "secret_access_key",
            "session_token",
            "virtual_hosted_style_request",
            "conditional_put",
            "checksum_algorithm",
            "server_side_encryption",
            "sse_kms_key_id",
        }
    ),
    "gs": frozenset({"service_account_key"}),
    "az": frozenset({"endpoint", "account_name", "account_key", "sas_key", "tenant_id", "client_id", "client_secret"}),
}


def _bucket_url(url: str) -> str:
    scheme, separator, place = url.partition("://")
    if not separator or scheme not in _OF_BUCKETS:
        raise ValueError("must begin with s3://, gs:// or az://; a folder of this machine is given as root")
    bucket, *folders = place.rstrip("/").split("/")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]+", bucket):
        raise ValueError(f"must name a bucket, such as {scheme}://bucket or {scheme}://bucket/prefix, and nothing else")
    if any(not re.fullmatch(r"[^?#%\\\s]+", folder) or folder in {".", ".."} for folder in folders):
        raise ValueError("must end in a plain prefix: no empty folder, no query, no escapes; options go in a table")
    return url.rstrip("/")


class StorageTable(Table):
    """``[storage]``: where finished files land, below the folder ``root`` or in the bucket ``url``; one is ``None``."""

    url: Annotated[str, AfterValidator(_bucket_url)] | None = None
    options: StorageOptionsTable = StorageOptionsTable()
    root: Path | None = None

    @field_validator("options")
    @classmethod
    def _options_of_the_bucket(cls, options: StorageOptionsTable, info: ValidationInfo) -> StorageOptionsTable:
        url: str | None = info.data.get("url")
        if "url" not in info.data:  # which has a fault of its own
            return options
        if url is None:
            if options.given:
                raise ValueError("belong to a url; a folder has none")
            return options
        scheme = url.partition(":")[0]
        strange = sorted(set(options.given) - _OF_BUCKETS[scheme] - _OF_ANY_BUCKET)
        if strange:
            known = ", ".join(sorted(_OF_BUCKETS[scheme] | _OF_ANY_BUCKET))
            raise ValueError(f"{strange[0]} is no option of {scheme}://; it has {known}")
        if (options.endpoint or "").startswith("http://") and not options.allow_http:
            raise ValueError("endpoint is not encrypted; allow_http = true permits that")
        return options

    @field_validator("root")
    @classmethod
    def _root_or_url(cls, root: Path | None, info: ValidationInfo) -> Path | None:
        in_a_bucket = info.data.get("url", "faulty") is not None
        if root is not None and in_a_bucket:
            raise ValueError("is given beside url; give one of them")
        return None if in_a_bucket else from_folder(root or Path("exports"), info)

    @property
    def place(self) -> str:
        """What stands before a key and a slash: the folder's path or the bucket's URL."""
        return str(self.root) if self.url is None else self.url
