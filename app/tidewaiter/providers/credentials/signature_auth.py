"""The signer of an account, out of a spec's table and the account's settings."""

from collections.abc import Callable, Mapping

from tidewaiter.domain.http_values import Json
from tidewaiter.domain.request_signing import MachineKeys, RequestSigner
from tidewaiter.log.redactor import Redactor
from tidewaiter.providers.credentials.hmac_signing import HmacSigner, UnusableSecretError
from tidewaiter.providers.spec.signing_spec import Aws4Auth, HmacAuth
from tidewaiter.providers.values.signing_templates import account_references


class UnusableSignatureError(Exception):
    """The account cannot sign. ``place`` is the setting, or the key of the spec; the message completes a sentence."""

    def __init__(self, place: str, reason: str) -> None:
        super().__init__(reason)
        self.place = place


def compile_signature(
    spec: HmacAuth | Aws4Auth,
    key: str,
    text_of: Callable[[str | None], str],
    settings: Mapping[str, Json],
    redactor: Redactor,
) -> tuple[RequestSigner, frozenset[str]]:
    """The signer, and secrets that were made from those of the settings.

    Args:
        spec: the table of the spec.
        key: its place there.
        text_of: fills a template that refers to settings only.
        settings: the account's values.
        redactor: learns every signature before it is sent.

    Raises:
        UnusableSignatureError: the account cannot sign.
    """
    if isinstance(spec, Aws4Auth):
        return _aws(spec, key, text_of, redactor), frozenset()
    try:
        signer = HmacSigner(spec, key, text_of(spec.key), settings, redactor)
    except UnusableSecretError as error:
        setting = next(account_references(spec.key), f"{key}.key").removeprefix("${account.").removesuffix("}")
        raise UnusableSignatureError(setting, str(error)) from None
    return signer, signer.secrets


def _aws(spec: Aws4Auth, key: str, text_of: Callable[[str | None], str], redactor: Redactor) -> RequestSigner:
    try:
        # Imported late: botocore is an extra, and takes some 100 ms.
        from tidewaiter.providers.credentials.aws_signing import Aws4Signer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "botocore":
            raise
        reason = "needs the extra `aws`; in a clone, `uv tool install --force '.[aws]'` brings it"
        raise UnusableSignatureError(f"{key}.type", reason) from None
    keys = MachineKeys(text_of(spec.access_key), text_of(spec.secret_key), text_of(spec.session_token) or None)
    given = keys if spec.credentials == "keys" else None
    return Aws4Signer(key, text_of(spec.region), text_of(spec.service), given, redactor)
