"""``[storage]``: a folder, or a bucket and how it is reached."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, ValidationInfo, WithJsonSchema, field_validator

from tidewaiter.config.value_types import Text, from_folder
from tidewaiter.toml_table import Boolean, TomlTable


class StorageOptionsTable(TomlTable):
    """``[storage.options]``: how a bucket is reached; other values come from the environment or the machine."""

    allow_http: Boolean = Field(
        default=False, description="whether an endpoint without TLS is permitted; for any bucket"
    )
    proxy_url: Text | None = Field(
        default=None,
        description="an HTTP proxy, in place of the one of [network]; for any bucket",
        examples=["http://proxy.example:3128"],
    )
    root_certificate: Text | None = Field(
        default=None, description="your own certificate authority, as PEM; best as root_certificate_file"
    )

    endpoint: Text | None = Field(
        default=None,
        description="a server other than Amazon's or Microsoft's; for s3 and az",
        examples=["https://s3.example.com"],
    )
    region: Text | None = Field(default=None, description="where the bucket is; for s3", examples=["eu-central-1"])
    access_key_id: Text | None = Field(
        default=None, description="used with secret_access_key; for s3", examples=["AKIA..."]
    )
    secret_access_key: Text | None = Field(default=None, repr=False, description="used with access_key_id; for s3")
    session_token: Text | None = Field(default=None, repr=False, description="for temporary credentials; for s3")
    virtual_hosted_style_request: Boolean | None = Field(
        default=None,
        description="true if the bucket's name is part of the endpoint's host name; for s3",
        examples=[True],
    )
    conditional_put: Boolean | None = Field(
        default=None, description="false for a server that answers 501 to If-None-Match; for s3", examples=[False]
    )
    checksum_algorithm: Literal["sha256", "crc64nvme"] | None = Field(
        default=None, description="checksum that the server keeps with each object; for s3", examples=["sha256"]
    )
    server_side_encryption: Literal["AES256", "aws:kms", "aws:kms:dsse"] | None = Field(
        default=None, description="how the server encrypts objects; for s3", examples=["aws:kms"]
    )
    sse_kms_key_id: Text | None = Field(
        default=None, description="the key for that encryption; for s3", examples=["alias/exports"]
    )

    service_account_key: Text | None = Field(
        default=None, repr=False, description="a service account's JSON, best as service_account_key_file; for gs"
    )

    account_name: Text | None = Field(default=None, description="the storage account; for az", examples=["mycompany"])
    account_key: Text | None = Field(default=None, repr=False, description="its key; for az")
    sas_key: Text | None = Field(default=None, repr=False, description="a shared access signature; for az")
    tenant_id: Text | None = Field(
        default=None,
        description="tenant of an application that may use it; for az",
        examples=["0a1b2c3d-..."],
    )
    client_id: Text | None = Field(
        default=None,
        description="client of an application that may use it; for az",
        examples=["0a1b2c3d-..."],
    )
    client_secret: Text | None = Field(default=None, repr=False, description="secret of that application; for az")

    @property
    def given(self) -> Mapping[str, str | bool]:
        """What differs from its default, by its key."""
        return {name: value for name, value in self if value != type(self).model_fields[name].default}

    @property
    def secrets(self) -> tuple[str, ...]:
        """The values that are secret wherever they were written."""
        return tuple(value for name, value in self if value and not type(self).model_fields[name].repr)


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


_BUCKET_SCHEMA: Final = {"type": "string", "pattern": r"^(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]+(/[^?#%\\\s]*)?$"}


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


class StorageTable(TomlTable):
    """``[storage]``: where files land: below a folder or in a bucket.

    One of ``root`` and ``url`` is ``None``.
    """

    url: Annotated[str, AfterValidator(_bucket_url), WithJsonSchema(_BUCKET_SCHEMA)] | None = Field(
        default=None,
        description="a bucket instead of a folder: s3://, gs:// or az://; needs the extra `object`",
        examples=["s3://bucket/prefix"],
    )
    options: StorageOptionsTable = Field(
        default=StorageOptionsTable(),
        description="how a bucket is reached; other values come from the environment or the machine",
    )
    root: Path | None = Field(
        default=None,
        description='the folder for landed files; without url and root it is "exports" beside this file',
        examples=["exports"],
    )

    @field_validator("options")
    @classmethod
    def _options_of_the_bucket(cls, options: StorageOptionsTable, info: ValidationInfo) -> StorageOptionsTable:
        url: str | None = info.data.get("url")
        if "url" not in info.data:  # it has a fault, which is reported already
            return options
        if url is None:
            if options.given:
                raise ValueError("belong to a url; a folder has none")
            return options
        scheme = url.partition(":")[0]
        unknown = sorted(set(options.given) - _OF_BUCKETS[scheme] - _OF_ANY_BUCKET)
        if unknown:
            known = ", ".join(sorted(_OF_BUCKETS[scheme] | _OF_ANY_BUCKET))
            raise ValueError(f"{unknown[0]} is no option of {scheme}://; it has {known}")
        if (options.endpoint or "").startswith("http://") and not options.allow_http:
            raise ValueError("endpoint is not encrypted; allow_http = true permits that")
        return options

    @field_validator("root")
    @classmethod
    def _root_or_url(cls, root: Path | None, info: ValidationInfo) -> Path | None:
        in_a_bucket = info.data.get("url", "faulty") is not None
        if root is not None and in_a_bucket:
            raise ValueError("is given together with url; give one of them")
        return None if in_a_bucket else from_folder(root or Path("exports"), info)

    @property
    def place(self) -> str:
        """The prefix of every key: the folder's path or the bucket's URL."""
        return str(self.root) if self.url is None else self.url
