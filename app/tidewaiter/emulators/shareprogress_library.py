"""What an organisation keeps at ShareProgress: pages, buttons, wrappers, their rules and their statistics.

Source: ShareProgress's API document; shapes and wordings as recorded by public clients.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import count
from typing import Final, TypeAlias
from urllib.parse import urlsplit

FormFields: TypeAlias = Mapping[str, object]
FieldErrors: TypeAlias = dict[str, list[object]]

TEMPLATES: Final = frozenset(f"sp_{channel}_{size}" for channel in ("em", "tw", "fb") for size in ("small", "large"))
CHANNELS: Final = {
    "facebook": ("facebook_title", "facebook_description", "facebook_thumbnail"),
    "email": ("email_subject", "email_body"),
    "twitter": ("twitter_message",),
}
_LONGEST: Final = {
    "facebook_title": 100,
    "facebook_description": 260,
    "twitter_message": 140,
    "email_subject": 100,
    "email_body": 750,
}
_LONGEST_PROMPT: Final = 120
_LINK: Final = "{LINK}"
_LINK_COUNTS: Final = {"twitter_message": 22, "email_body": 7}
_OPTIONS: Final = ("prompt", "automatic_traffic_routing", "buttons_optimize_actions", "customize_params", "id_pass")
_FIRST_ID: Final = 10
_SHAREACTION: Final = "{shareaction}"


class ShareKind(StrEnum):
    """The kind of a shared object, as the API's paths and messages name it."""

    PAGES = "pages"
    BUTTONS = "buttons"


@dataclass(slots=True)
class ShareItem:
    """One Share Page or Share Button; ``id`` is ``None`` if it was refused, ``created_at`` in epoch seconds."""

    kind: ShareKind
    id: int | None
    created_at: float
    page_url: str
    page_title: str | None
    html_title: str | None
    wrapper_id: int | None
    button_template: str | None
    variants: dict[str, list[dict[str, object]]]
    options: dict[str, object]

    @property
    def tested(self) -> bool:
        """Whether it runs a test of one variant against another."""
        return any(len(variants) > 1 for variants in self.variants.values())

    def listed(self, now: float) -> dict[str, object]:
        """Its form in the index."""
        link: dict[str, object]
        if self.kind is ShareKind.PAGES:
            link = {"share_page_url": f"http://shpg.org/1/{self.id}"}
        else:
            html = f"<div class='sp_{'' if self.id is None else self.id} {self.button_template}' ></div>"
            link = {"button_template": self.button_template, "share_button_html": html}
        active = self.tested and now > self.created_at
        return {"id": self.id, "page_url": self.page_url, "page_title": self.page_title, **link, "is_active": active}

    def shown(self, now: float) -> dict[str, object]:
        """Its form when it is read."""
        own = {"html_title": self.html_title, "wrapper_id": self.wrapper_id} if self.kind is ShareKind.PAGES else {}
        return {
            **self.listed(now),
            **own,
            "found_snippet": self.id is not None,
            "variants": self.variants,
            "advanced_options": self.options,
        }


@dataclass(slots=True)
class Wrapper:
    """The frame around pages."""

    id: int
    name: str
    html: str


@dataclass(frozen=True, slots=True)
class SaveResult:
    """The result of a save: the object, and the errors if it was not saved."""

    entry: ShareItem
    errors: FieldErrors = field(default_factory=dict)


class ShareLibrary:
    """All objects of one organisation. Hosts that end in ``.invalid`` are down, so their pages cannot be read.

    ``templates`` are the permitted templates of buttons.
    """

    def __init__(self, templates: Collection[str] = TEMPLATES) -> None:
        self._templates = templates
        self.shared: dict[ShareKind, dict[int, ShareItem]] = {kind: {} for kind in ShareKind}
        self.wrappers: dict[int, Wrapper] = {}
        self.default_wrapper: int | None = None
        self._ids = {kind: count(_FIRST_ID) for kind in ShareKind}
        self._wrapper_ids = count(_FIRST_ID)
        self._variant_ids = count(1)

    def save(self, kind: ShareKind, fields: FormFields, known: ShareItem | None, now: float) -> SaveResult:
        """Create an object or change a known one; with any error nothing is changed."""
        draft = self._new(kind, fields, now) if known is None else _copied(known)
        errors = self._written(draft, fields)
        if errors:
            return SaveResult(draft if known is None else known, errors)
        if known is None:
            draft.id = next(self._ids[kind])
        self._fill(draft, fields, is_new=known is None)
        assert draft.id is not None  # noqa: S101 - given above, or known
        self.shared[kind][draft.id] = draft
        return SaveResult(draft)

    def save_wrapper(self, fields: FormFields, known: Wrapper | None) -> tuple[Wrapper | None, FieldErrors]:
        """Create a wrapper or change a known one; returns the wrapper, or the errors."""
        name = text_of(fields.get("name", known.name if known else ""))
        html = text_of(fields.get("html", known.html if known else ""))
        errors: FieldErrors = {}
        if not name:
            errors["name"] = ["can't be blank"]
        if _SHAREACTION not in html.lower():
            errors["html"] = ["must include {SHAREACTION}"]
        if errors:
            return None, errors
        wrapper = Wrapper(known.id if known else next(self._wrapper_ids), name, html)
        self.wrappers[wrapper.id] = wrapper
        if self.default_wrapper is None or truth_of(fields.get("default")):
            self.default_wrapper = wrapper.id
        return wrapper, {}

    def _new(self, kind: ShareKind, fields: FormFields, now: float) -> ShareItem:
        options: dict[str, object] = {
            "automatic_traffic_routing": "true",  # as recorded: a text
            "buttons_optimize_actions": None,
            "customize_params": None,
            "id_pass": {"id": "id", "passed": "referrer_id"},
        }
        return ShareItem(
            kind=kind,
            id=None,
            created_at=now,
            page_url=text_of(fields.get("page_url", "")),
            page_title=None,
            html_title=None,
            wrapper_id=self.default_wrapper if kind is ShareKind.PAGES else None,
            button_template=text_of(fields.get("button_template", "")) if kind is ShareKind.BUTTONS else None,
            variants={channel: [] for channel in CHANNELS},
            options=options,
        )

    def _written(self, draft: ShareItem, fields: FormFields) -> FieldErrors:
        """Write the fields into the draft; returns their errors."""
        errors: FieldErrors = {}
        draft.page_url = text_of(fields.get("page_url", draft.page_url))
        if not draft.page_url:
            errors["page_url"] = ["can't be blank"]
        elif not _can_be_read(draft.page_url):
            errors["page_url"] = ["could not be read"]
        if draft.kind is ShareKind.BUTTONS:
            draft.button_template = text_of(fields.get("button_template", draft.button_template))
            if draft.button_template not in self._templates:
                errors["button_template"] = ["is invalid"]
        if fields.get("wrapper_id") and draft.kind is ShareKind.PAGES:
            draft.wrapper_id = number_of(fields["wrapper_id"])
            if draft.wrapper_id not in self.wrappers:
                errors["wrapper_id"] = ["is invalid"]
        if wrong := _write_options(draft, fields.get("advanced_options")):
            errors["advanced_options"] = [wrong]
        if wrong_variants := [wrong for wrong in self._write_variants(draft, fields.get("variants")) if wrong]:
            errors["variants"] = [*wrong_variants]
        return errors

    def _write_variants(self, draft: ShareItem, given: object) -> Iterator[list[str]]:
        if not isinstance(given, Mapping):
            return
        for channel, known in draft.variants.items():
            variants = given.get(channel)
            for variant in variants if isinstance(variants, list) else []:
                if isinstance(variant, Mapping):
                    yield self._write_variant(channel, known, variant)

    def _write_variant(self, channel: str, known: list[dict[str, object]], given: FormFields) -> list[str]:
        place = None
        if given.get("id"):
            variant_id = number_of(given["id"])
            place = next((place for place, variant in enumerate(known) if variant["id"] == variant_id), None)
            if place is None:
                return ["id is invalid"]
        if truth_of(given.get("_destroy")):
            if place is not None:
                del known[place]
            return []
        written = {name: given[name] for name in CHANNELS[channel] if name in given}
        if wrong := [complaint for name, value in written.items() for complaint in _complaints(name, value)]:
            return wrong
        if place is None:
            known.append({"id": next(self._variant_ids), **dict.fromkeys(CHANNELS[channel]), **written})
        else:
            known[place] |= written
        return []

    def _fill(self, draft: ShareItem, fields: FormFields, *, is_new: bool) -> None:
        """Fill missing fields from the page itself: titles always, share texts unless ``auto_fill`` is off."""
        scraped = f"The page {draft.page_url.rstrip('/').rpartition('/')[2]}"[:100]
        draft.page_title = text_of(fields.get("page_title", draft.page_title or "")) or scraped
        if draft.kind is ShareKind.PAGES:
            draft.html_title = text_of(fields.get("html_title", draft.html_title or "")) or draft.page_title
        for channel, names in CHANNELS.items():
            if is_new and not draft.variants[channel]:
                draft.variants[channel].append({"id": next(self._variant_ids), **dict.fromkeys(names)})
        if not truth_of(fields.get("auto_fill", is_new)):
            return
        for variants in draft.variants.values():
            for variant in variants:
                variant |= {
                    name: _from_page(name, scraped, draft.page_url) for name, value in variant.items() if not value
                }


def text_of(value: object) -> str:
    """A field as text; nothing is the empty text."""
    return "" if value is None else str(value).strip()


def number_of(value: object) -> int | None:
    """A field as a whole number, which may come as text; ``None`` if it is not one."""
    text = text_of(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None


def truth_of(value: object) -> bool:
    """A field as a boolean, which may come as text."""
    return text_of(value).lower() in {"true", "1"}


def _can_be_read(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    host = parts.hostname or ""
    return parts.scheme in {"http", "https"} and bool(host) and not host.endswith(".invalid")


def _write_options(draft: ShareItem, given: object) -> str | None:
    if not isinstance(given, Mapping):
        return None
    if len(text_of(given.get("prompt"))) > _LONGEST_PROMPT:
        return f"prompt is longer than {_LONGEST_PROMPT} characters"
    known = {name: given[name] for name in _OPTIONS if name in given}
    if "custom_params" in given:  # both names occur in the vendor's own document
        known["customize_params"] = given["custom_params"]
    draft.options = draft.options | known
    return None


def _complaints(name: str, value: object) -> Iterator[str]:
    text = text_of(value)
    counted = text.replace(_LINK, "_" * _LINK_COUNTS[name]) if name in _LINK_COUNTS else text
    if name in _LONGEST and len(counted) > _LONGEST[name]:
        yield f"{name} is longer than {_LONGEST[name]} characters"
    if name in _LINK_COUNTS and value is not None and _LINK not in text:
        yield f"{name} needs a {_LINK} tag"


def _from_page(name: str, scraped: str, page_url: str) -> str:
    if name == "facebook_thumbnail":
        return f"{page_url.rstrip('/')}/thumbnail.png"
    return f"{scraped} {_LINK}" if name in _LINK_COUNTS else scraped


def _copied(known: ShareItem) -> ShareItem:
    variants = {channel: [dict(variant) for variant in variants] for channel, variants in known.variants.items()}
    return replace(known, variants=variants, options=dict(known.options))


_WEIGHTS: Final = {"email": 0.27, "facebook": 0.62, "twitter": 0.08}
_VISITS_AT_START: Final = 40
_S_PER_VISIT: Final = 20


def analytics_of(shared: ShareItem, at: float, *, singles: bool) -> dict[str, object]:
    """The statistics at that time (epoch seconds), in the shapes of the document's samples.

    ``singles``: channels with one variant are in ``share_tests``, too.
    """
    visits = _VISITS_AT_START + int((at - shared.created_at) / _S_PER_VISIT)
    shares = visits // 5
    by_channel = {channel: int(shares * weight) for channel, weight in _WEIGHTS.items()}
    by_channel["dark_social"] = shares - sum(by_channel.values())
    total: dict[str, object] = {
        "total_visitors": visits + visits // 28,
        "total_shares": shares,
        "total_viral_visitors": sum(count // 2 for count in by_channel.values()),
    }
    if shared.kind is ShareKind.PAGES:
        total["total_viral_actions"] = sum(count // 8 for count in by_channel.values())
    least = 1 if singles else 2
    return {
        "id": shared.id,
        "generations": [
            {"shares": shares - shares // 15, "visits": visits, "generation": 1},
            {"shares": shares // 15, "visits": visits // 28, "generation": 2},
        ],
        "share_types": {channel: _share_type(shared.kind, count) for channel, count in by_channel.items()},
        "share_tests": {
            channel: _share_test(variants, by_channel[channel])
            for channel, variants in shared.variants.items()
            if len(variants) >= least
        },
        "total": total,
    }


def _share_type(kind: ShareKind, shares: int) -> dict[str, object]:
    actions = {"viral_actions": shares // 8} if kind is ShareKind.PAGES else {}
    return {"shares": shares, "viral_visits": shares // 2, **actions}


def _share_test(variants: list[dict[str, object]], shares: int) -> list[dict[str, object]]:
    each, winner = shares // len(variants), len(variants) - 1
    return [
        {
            "shares": each,
            "successful_shares": each // (5 - (place == winner)),
            "conversion": 25.0 if place == winner else 20.0,
            "ci": 3.1,
            "confidence": "99.9%" if place else "--",
            "improvement": "25.0%" if place else "--",
            "winner": place == winner,
            "id": variant["id"],
            "weight": f"{100 / len(variants):.1f}%",
        }
        for place, variant in enumerate(variants)
    ]
