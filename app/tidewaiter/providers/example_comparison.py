"""What an example expects, against what a spec gives; and the signature of its request."""

import json
from collections.abc import Iterator

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.request_signing import MachineKeys, SigningMoment
from tidewaiter.providers.auth import AccountAuth
from tidewaiter.providers.spec.provider_spec import ExampleRequest

_MACHINE = MachineKeys("AKIDEXAMPLE", "an example, not a key")


def compare(what: str, expected: object, got: object) -> Iterator[str]:
    """The difference, if there is one."""
    if expected != got:
        yield difference(what, expected, got)


def difference(what: str, expected: object, got: object) -> str:
    """The text that names both."""
    return f"  {what}\n    expected: {_shown(expected)}\n    got:      {_shown(got)}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def signature_problems(auth: AccountAuth, expected: ExampleRequest, built: WireRequest) -> Iterator[str]:
    """The differences of a signature, at the time that the example names."""
    if expected.signed is None:
        return
    signer = auth.credentials.signer
    if signer is None:
        yield "  request.signed is expected, and this account does not sign"
        return
    wanted = expected.signed
    signed = signer.sign(built, SigningMoment(wanted.at, wanted.nonce, _MACHINE))
    if wanted.string_to_sign is not None:
        yield from compare("request.signed.string_to_sign", wanted.string_to_sign, signed.string_to_sign)
    if wanted.url is not None:
        yield from compare("request.signed.url", wanted.url, signed.request.url)
    sent = {name.lower(): value for name, value in signed.request.headers.items()}
    for name, value in wanted.headers.items():
        yield from compare(f"request.signed.headers.{name}", value, sent.get(name.lower()))


def signature_key(auth: AccountAuth, expected: ExampleRequest | None) -> frozenset[str]:
    """The key of the signature in the spec, if an example compares it."""
    signer = auth.credentials.signer
    if signer is None or expected is None or expected.signed is None:
        return frozenset()
    return frozenset({signer.key})
