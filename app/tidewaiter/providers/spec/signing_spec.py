"""Signed requests: AWS Signature Version 4, and an HMAC whose text the spec describes."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from tidewaiter.providers.spec.field_types import InvalidValueError, SentHeaderName, SpecVariant, Text
from tidewaiter.providers.values.signing_templates import SIGNATURE, check_signing_template, refers_to_signature
from tidewaiter.providers.values.template import TemplateError


def _signing_template(value: str) -> str:
    try:
        check_signing_template(value)
    except TemplateError as error:
        raise InvalidValueError(str(error)) from None
    return value


SigningText: TypeAlias = Annotated[Text, AfterValidator(_signing_template)]


class HmacAuth(SpecVariant):
    """A signature of each request: an HMAC of a text that is made of the request, the time and a nonce.

    The texts in ``string_to_sign``, ``headers`` and ``query`` may refer to
    [parts of the request](recipes/signed-requests.md#what-the-text-is-made-of) and to settings, secret ones included.
    Headers and pairs of the query without `${signature}` are added first, so ``${request.query}`` has them. Each
    request is signed when it is sent, so a repeat and a redirect have a new time; never for another origin.
    """

    type: Literal["hmac"]
    key: Text = Field(description="the secret, a secret setting")
    key_encoding: Literal["text", "hex", "base64"] = Field(
        default="text", description="how the secret is written: as it is used, or in hexadecimal or Base64"
    )
    algorithm: Literal["sha256", "sha384", "sha512", "sha1"] = Field(
        default="sha256", description="the hash function of the HMAC; `sha1` for old APIs"
    )
    string_to_sign: SigningText = Field(
        description='the text that is signed: `"${time.epoch}${request.method}${request.target}${request.body}"`'
    )
    signature_encoding: Literal["hex", "base64", "base64url"] = Field(
        default="hex", description="how `${signature}` is written; `base64url` has no `=` at its end"
    )
    headers: Mapping[SentHeaderName, SigningText] = Field(
        default={}, description="header fields with the signature, and what the API needs to verify it"
    )
    query: Mapping[Text, SigningText] = Field(
        default={}, description="the same as pairs of the query, percent-encoded, at its end"
    )

    @model_validator(mode="after")
    def _is_sent(self) -> Self:
        if refers_to_signature(self.string_to_sign):
            raise ValueError(f"string_to_sign refers to {SIGNATURE}, which is made of it: remove it there")
        if not any(refers_to_signature(text) for text in (*self.headers.values(), *self.query.values())):
            raise ValueError(f"no value of headers or query refers to {SIGNATURE}, so it would not be sent")
        return self


class Aws4Auth(SpecVariant):
    """AWS Signature Version 4. It needs the extra ``aws``.

    Each request is signed when it is sent, so a repeat and a redirect have a new time; never for another origin. A URL
    that has a signature in its query (a presigned link) is sent as it is.
    """

    type: Literal["aws4"]
    region: Text = Field(description="the region, such as `eu-west-1`")
    service: Text = Field(description="the name of the service in signatures, such as `s3`")
    credentials: Literal["keys", "machine"] = Field(
        default="keys",
        description="`keys`: those below. `machine`: the machine's own, from its environment, shared files, web "
        "identity, container or instance; only if the operator writes it, so the account has a setting `credentials`, "
        'and this table `when = { credentials = "machine" }`',
    )
    access_key: Text | None = Field(default=None, description="the access key ID")
    secret_key: Text | None = Field(default=None, description="the secret access key, a secret setting")
    session_token: Text | None = Field(
        default=None, description="the session token of temporary keys; left out if its setting has no value"
    )

    @model_validator(mode="after")
    def _has_keys(self) -> Self:
        if self.credentials == "keys":
            if self.access_key is None or self.secret_key is None:
                raise ValueError('needs access_key and secret_key, or credentials = "machine"')
        elif self.access_key or self.secret_key or self.session_token:
            raise ValueError(
                'credentials = "machine" has keys of its own: remove access_key, secret_key, session_token'
            )
        elif self.when.get("credentials") != "machine":
            raise ValueError(
                'credentials = "machine" is for accounts that say so: add a setting credentials with '
                'enum = ["keys", "machine"], and when = { credentials = "machine" } here'
            )
        return self
