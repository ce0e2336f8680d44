"""What ShareProgress's document leaves open, and what its public clients have recorded."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, ClassVar, Final, TypeAlias

from pydantic import ConfigDict, Field

from tidewaiter.emulators.controls import STRICT

PER_MINUTE: Final = 30

FailureMessage: TypeAlias = str | list[str] | dict[str, list[str]] | None
Seconds: TypeAlias = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class MessageForm(StrEnum):
    """The form of the message of a failed save; the recorded form is an object of lists."""

    OBJECT = "object"
    TEXT = "text"
    LIST = "list"


class BooleanForm(StrEnum):
    """Which booleans come as the texts ``true`` and ``false``, in addition to the recorded one."""

    REAL = "real"
    FIELDS = "fields"
    ALL = "all"


class CapitalsForm(StrEnum):
    """Which totals are spelled ``Total_visitors``; in the document's samples, those of buttons."""

    BUTTONS = "buttons"
    NONE = "none"
    ALL = "all"


class ParamsKey(StrEnum):
    """Both names are in the document, for the same option."""

    CUSTOMIZE = "customize_params"
    CUSTOM = "custom_params"


@dataclass(frozen=True, slots=True)
class ShareProgressVariants:
    """What may differ.

    ``reply_s`` is the duration of every reply, and ``scrape_s`` the additional duration of a save, which reads the page
    first. ``index_lag_s`` is the time between a creation and its entry in the index. ``spent_by_others`` requests of
    the minute belong to another client with the same key. ``retry_after``: a 429 has that header, too. ``templates``
    are templates of buttons that are newer than the document.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    success_message: FailureMessage = None
    failure_message: MessageForm = MessageForm.OBJECT
    booleans: BooleanForm = BooleanForm.REAL
    capital_totals: CapitalsForm = CapitalsForm.BUTTONS
    visitors_as_text: bool = True
    single_tests: bool = False
    params_key: ParamsKey = ParamsKey.CUSTOMIZE
    analytics_time_key: str | None = None
    reply_s: Seconds = 0.0
    scrape_s: Seconds = 2.0
    index_lag_s: Seconds = 0.0
    spent_by_others: Annotated[int, Field(ge=0, le=PER_MINUTE)] = 0
    retry_after: bool = False
    templates: tuple[str, ...] = ()
