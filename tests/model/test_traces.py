"""Which steps of a real job the model can take."""

from tests.model.protocol import Kind
from tests.model.traces import CRASH, POST, first_impossible

INTENDED = "QUEUED Intended SUBMITTING"
ACCEPTED = "SUBMITTING Accepted FOLLOWING"
UNKNOWN = "SUBMITTING Unknown RECONCILING"
ENDED = "FOLLOWING Stored ENDED"


def test_ways_of_the_protocol() -> None:
    """A job that nothing happens to, one that is adopted, one that was not submitted, and one that a person decides."""
    assert first_impossible(Kind.BLIND, [INTENDED, POST, ACCEPTED, ENDED]) is None
    adopted = [UNKNOWN, CRASH, "RECONCILING Adopted FOLLOWING", CRASH, ENDED]
    assert first_impossible(Kind.ADOPTABLE, [INTENDED, POST, CRASH, *adopted]) is None
    absent = [INTENDED, CRASH, UNKNOWN, "RECONCILING Absent QUEUED", INTENDED, POST]
    assert first_impossible(Kind.ADOPTABLE, absent) is None
    parked = [INTENDED, POST, CRASH, UNKNOWN, "RECONCILING Undecidable PARKED", "PARKED AdoptDecided FOLLOWING"]
    assert first_impossible(Kind.BLIND, parked) is None


def test_steps_that_the_protocol_does_not_have() -> None:
    """Each is found where it happens: a POST before its intent or twice, a doubt that is ignored."""
    assert first_impossible(Kind.BLIND, [POST, INTENDED]) == 0
    assert first_impossible(Kind.BLIND, [INTENDED, POST, POST]) == 2
    assert first_impossible(Kind.BLIND, [INTENDED, POST, CRASH, "SUBMITTING Interrupted QUEUED"]) == 3
    assert first_impossible(Kind.ADOPTABLE, [INTENDED, ACCEPTED]) == 1
    assert first_impossible(Kind.ADOPTABLE, [INTENDED, POST, CRASH, UNKNOWN, "RECONCILING Absent QUEUED"]) == 4
    assert first_impossible(Kind.ADOPTABLE, [INTENDED, POST, CRASH, UNKNOWN, INTENDED]) == 4
