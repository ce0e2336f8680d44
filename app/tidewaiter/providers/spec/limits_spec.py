"""The limits of an account, and the headers that report them."""

from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from tidewaiter.providers.spec.account_overrides import LimitsOverride
from tidewaiter.providers.spec.field_types import HeaderName, SpecTable


class LimitHeadersSpec(SpecTable):
    """Headers with the rest of the provider's limit, on every reply. They can only slow us down.

    There are two forms: ``reset`` with its companions, each a number in a header; or ``rate_limit`` with ``policy``,
    the fields of the IETF draft (draft-ietf-httpapi-ratelimit-headers-10). A field that is not what its form says is
    ignored. No wait is longer than the period of ``limits``, or an hour without one.
    """

    limit: HeaderName | None = Field(default=None, description="the number of permitted requests; only shown to people")
    remaining: HeaderName | None = Field(
        default=None,
        description="how many of them are left. At 0 the account waits, unless its own requests explain the "
        "0: then `requests` decides",
    )
    reset: HeaderName | None = Field(
        default=None, description="when the limit is reset. Also for a 429 without Retry-After"
    )
    reset_is: Literal["epoch", "seconds"] = Field(
        default="epoch",
        description="`epoch` seconds, counted from the reply's Date because clocks differ, or `seconds` from now",
    )
    rate_limit: HeaderName | None = Field(
        default=None,
        description='the draft\'s field with what is left of each limit, `"RateLimit"`: a list such as '
        '`"perhour";r=0;t=30`. If nothing is left of one (`r=0`), the account waits until its `t`',
    )
    policy: HeaderName | None = Field(
        default=None,
        description='the draft\'s field that describes the limits, `"RateLimit-Policy"`: the window `w` of a limit is '
        "the longest wait for it, and a limit for requests at one time makes nobody wait",
    )

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        numbers = sorted({"limit", "remaining", "reset", "reset_is"} & self.model_fields_set)
        if self.rate_limit is None and self.reset is None:
            raise ValueError("needs reset, the header with the time, or rate_limit, the field of the IETF draft")
        if self.rate_limit is not None and numbers:
            raise ValueError(f"rate_limit says all that {', '.join(numbers)} would: remove one of both forms")
        if self.rate_limit is None and self.policy is not None:
            raise ValueError('policy describes what rate_limit counts: add rate_limit = "RateLimit"')
        return self


class LimitsSpec(LimitsOverride):
    """The limits of an account, unless the operator sets others, and the headers that report them.

    An account may replace them in ``[accounts.NAME.limits]``. Without these keys nothing is limited but the requests in
    flight (64); a period has 60 seconds.
    """

    model_config = ConfigDict(strict=True)

    headers: LimitHeadersSpec | None = Field(
        default=None, description="the rest of the limit, on every reply of the API's own origin"
    )
