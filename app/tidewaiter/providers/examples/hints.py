"""What an author of a spec may have overlooked: each a sentence that begins with the key, and says what to write."""

from collections.abc import Iterator

from tidewaiter.providers.examples.example_expressions import never_true
from tidewaiter.providers.examples.spec_examples import run_examples
from tidewaiter.providers.provider import Provider
from tidewaiter.providers.replies.wait_times import ignored_texts
from tidewaiter.providers.values.texts import as_note


def hints_of(provider: Provider) -> list[str]:
    """The sentences, in the order of the checks; none of them makes a spec unusable."""
    unfound = [f"{key} finds nothing in any example: is it what the API sends?" for key in never_true(provider)]
    return [*unfound, *_ignored_waits(provider), *_starts_without_done(provider)]


def _ignored_waits(provider: Provider) -> Iterator[str]:
    with ignored_texts() as texts:
        run_examples(provider)
    for text in dict.fromkeys(texts):
        yield f'retry_after finds {as_note(text)!r}, which is ignored: it is a text with a duration, add unit = "text"'


def _starts_without_done(provider: Provider) -> Iterator[str]:
    """Starts that may not be repeated, and whose rules do not know the reply of an API that has started already."""
    for name, operation in provider.spec.operations.items():
        for number, start in enumerate(operation.start):
            effects = {effect for rule in start.rules for effect in (rule.then, *rule.words.values())}
            if not start.repeatable and "done" not in effects:
                yield (
                    f"operations.{name}.start[{number}] is not repeatable, and no rule says done: if a person sends it "
                    "a second time, a reply such as 409 fails the job; add a rule for the reply that says that the "
                    'remote job runs already, with then = "done"'
                )
