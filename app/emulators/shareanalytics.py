"""ShareProgress's numbers for a page or a button: they follow from its age alone, and never fall."""

from typing import Final

from app.emulators.sharecontent import Kind, Shared

_WEIGHTS: Final = {"email": 0.27, "facebook": 0.62, "twitter": 0.08}
_VISITS_AT_START: Final = 40
_S_PER_VISIT: Final = 20


def analytics_of(shared: Shared, at: float, *, singles: bool) -> dict[str, object]:
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
    if shared.kind is Kind.PAGES:
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


def _share_type(kind: Kind, shares: int) -> dict[str, object]:
    actions = {"viral_actions": shares // 8} if kind is Kind.PAGES else {}
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
