"""What an example expects, against what a spec gives; and the signature of its request."""

import json
from collections.abc import Iterator

from tidewaiter.domain.http_values import WireRequest
from tidewaiter.domain.request_signing import MachineKeys, RequestSigner, SigningMoment
from tidewaiter.providers.provider import BoundAccount
from tidewaiter.providers.spec.provider_spec import ExampleRequest
from tidewaiter.providers.values.addresses import origin_of

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


def signature_problems(account: BoundAccount, expected: ExampleRequest, built: WireRequest) -> Iterator[str]:
    """The differences of a signature, at the time that the example names."""
    if expected.signed is None:
        return
    signer = _signer_of(account, built)
    if signer is None:
        yield "  request.signed is expected, and this request is not signed"
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


def signature_key(account: BoundAccount, expected: ExampleRequest | None, built: WireRequest | None) -> frozenset[str]:
    """The key of the signature in the spec, if an example compares it."""
    if expected is None or expected.signed is None or built is None:
        return frozenset()
    signer = _signer_of(account, built)
    return frozenset() if signer is None else frozenset({signer.key})


def _signer_of(account: BoundAccount, built: WireRequest) -> RequestSigner | None:
    """What signs a request: the credentials that its origin names, else those that it names itself."""
    there = account.origins.auth_for(origin_of(built.url))
    choice = built.auth if there is True or built.auth is False else there
    chosen = account.auth.credentials if choice is True else account.auth.named.get(str(choice))
    return None if chosen is None else chosen.signer
