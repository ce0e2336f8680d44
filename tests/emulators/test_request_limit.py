"""The progressive count of requests."""

from tidewaiter.emulators.request_limit import RequestLimit


def test_each_request_leaves_the_count_a_period_after_it_was_made() -> None:
    """The limit slides: room comes back request by request, not all at once when some minute ends."""
    window = RequestLimit(most=2, period_s=60)
    assert [window.take(0), window.take(20)] == [0, 0]
    assert window.take(30) == 30
    assert window.take(60) == 0
    assert window.take(60) == 20


def test_a_refused_request_is_not_counted() -> None:
    """Knocking too early does not move the moment when there is room again."""
    window = RequestLimit(most=1, period_s=10)
    window.take(0)
    assert [window.take(at) for at in (1, 5, 9)] == [9, 5, 1]
    assert window.take(10) == 0


def test_what_is_left_and_when_there_will_be_more() -> None:
    """Asking for the room that is left counts nothing; the oldest request that counts tells when room comes back."""
    window = RequestLimit(most=2, period_s=60)
    assert (window.remaining(5), window.oldest_leaves_at(5)) == (2, 65)
    window.take(10)
    window.take(20)
    assert (window.remaining(30), window.oldest_leaves_at(30)) == (0, 70)
    assert (window.remaining(70), window.oldest_leaves_at(70)) == (1, 80)
