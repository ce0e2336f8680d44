"""What `providers test` says beside the outcomes: what an author may have overlooked, and how to write it."""

from pathlib import Path

from tests.support.spec_samples import provider_of
from tidewaiter.providers.examples.hints import hints_of
from tidewaiter.providers.provider_registry import Registry

RECIPES = Path(__file__).parents[1] / "recipes"
AGAIN = (RECIPES / "submit-again.toml").read_text()
STEPS = (RECIPES / "steps.toml").read_text()


def test_a_wait_in_a_text_needs_its_unit() -> None:
    """With the text that was ignored; a unit of its own, or a number, gives no hint."""
    text = AGAIN.replace("retry_in = 900", 'retry_in = "try again in 15 minutes"').replace(
        ", retry_after_s = 900.0", ""
    )
    (hint,) = hints_of(provider_of(text))
    assert hint.startswith("retry_after finds 'try again in 15 minutes', which is ignored: ")
    assert hint.endswith('add unit = "text"')
    assert hints_of(provider_of(text.replace('json = "retry_in"', 'json = "retry_in", unit = "text"'))) == []
    assert hints_of(provider_of(AGAIN)) == []


def test_a_start_that_does_not_know_its_repetition() -> None:
    """Unless it is repeatable, or a rule says what a second one is answered with."""
    last = STEPS[STEPS.rindex("[[operations.report.start]]") :].partition("\n\n")[0]
    bare = "\n".join(line for line in last.splitlines() if not line.startswith(("rules", "repeatable")))
    (hint,) = hints_of(provider_of(STEPS.replace(last, bare)))
    assert hint.startswith("operations.report.start[1] is not repeatable, and no rule says done: ")
    assert hints_of(provider_of(STEPS.replace(last, f"{bare}\nrepeatable = true"))) == []
    known = f'{bare}\nrules = [{{ status = 409, then = "done" }}]'
    assert hints_of(provider_of(STEPS.replace(last, known))) == []


def test_one_place_of_an_errors_message_is_enough() -> None:
    """Examples of a catalogue cannot have every wording; without any, each place is named."""
    several = AGAIN.replace('error = "message"', 'error = ["message", "detail", "reasons[0]"]')
    assert hints_of(provider_of(several)) == []
    wrong = AGAIN.replace('error = "message"', 'error = ["massage", "detail"]')
    assert [hint.partition(" ")[0] for hint in hints_of(provider_of(wrong))] == ["error[0]", "error[1]"]
    catalogue = Registry.load()
    assert [hint for name in ("athena", "openeo", "salesforce-bulk2") for hint in hints_of(catalogue.get(name))] == []
