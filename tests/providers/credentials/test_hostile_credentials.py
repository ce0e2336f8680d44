"""Specs with anything at all in the tables of credentials and origins: lint names the fault, and never breaks."""

from itertools import product

import pytest

from tests.support.spec_samples import POLL, RESULTS, SUBMIT, faults_of

HEAD = 'name = "d"\ntitle = "D"\n'
BASE = 'base_url = "https://a.example.com"\n'
STEPS = SUBMIT + POLL + RESULTS
VALUES = (
    "5", "1.5", "true", '"x"', "[]", "{}", "[5]", '["x"]', "[{}]", "[[1]]", "{ a = 5 }", '"${', '"${login.x}"',
    '"${key.sha256}"', '{ a = [{ b = "${login.q}" }] }',
)  # fmt: skip
PLACES = {
    "": ("auth", "auths", "origins", "probe", "account", "base_url"),
    '[auth]\ntype = "several"\n': ("of", "when"),
    '[auths.x]\ntype = "several"\n': ("of", "when"),
    '[auth]\ntype = "jwt"\n': ("key", "algorithm", "key_id", "claims", "lifetime_s", "place", "renew"),
    '[auth]\ntype = "oauth2"\n': ("grant", "assertion", "keep", "client_id", "form", "token_url"),
    '[auth]\ntype = "oauth2"\n[auth.assertion]\n': ("key", "claims", "audience", "key_id"),
    '[auth]\ntype = "session"\n[auth.login]\n': ("basic", "keep", "auth", "base", "headers", "url"),
    '[[auth.of]]\ntype = "bearer"\n': ("token", "when"),
    "[origins.x]\n": ("url", "auth"),
    '[probe]\nurl = "/x"\n': ("base", "auth"),
    "[probe]\nurl = 5\n": ("base", "auth"),
}
CASES = [(table, key) for table, keys in PLACES.items() for key in keys]


@pytest.mark.parametrize(("table", "key"), CASES)
def test_anything_at_all(table: str, key: str) -> None:
    """Every fault is a line for people, of this file, without a trace of Python in it."""
    for value in VALUES:
        base = "" if key == "base_url" else BASE
        faults = faults_of(
            f"{HEAD}{base}{table}{key} = {value}\n{STEPS}" if table else f"{HEAD}{base}{key} = {value}{STEPS}"
        )
        assert all(fault.startswith("demo.toml: ") and "Traceback" not in fault for fault in faults)


@pytest.mark.parametrize(("key", "value"), list(product(("login", "claims"), VALUES)))
def test_anything_in_an_example(key: str, value: str) -> None:
    """The same for what an example says about a login."""
    example = f'[[examples]]\nname = "x"\nstep = "login"\n{key} = {value}\n'
    assert all(fault.startswith("demo.toml: ") for fault in faults_of(HEAD + BASE + STEPS + example))
