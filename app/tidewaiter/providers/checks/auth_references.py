"""The templates in the tables of credentials, and what each of them may refer to."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tidewaiter.providers.checks.spec_trees import Tree, table_of, tables_of, texts_in, variants_of
from tidewaiter.providers.values.signing_templates import account_references
from tidewaiter.providers.values.template import references_in

_TEXTS = ("username", "password", "token", "value", "token_url", "client_id", "client_secret", "refresh_token")
_KEY_TEXTS = ("key", "algorithm")
_REQUEST_TEXTS = ("query", "headers", "json", "form", "multipart")
_AWS_TEXTS = ("region", "service", "access_key", "secret_key")
_LEADING = re.compile(r"\$\{account\.([^{}]*)\}")


@dataclass(frozen=True, slots=True)
class AuthTemplate:
    """A template of credentials, which may contain secrets: they are sent to the provider or to a login only.

    ``when`` is that of its table. ``required``: every reference needs a value. ``signs``: there is a key, whose
    fingerprint it may refer to.
    """

    key: str
    text: object
    when: Tree
    required: bool = False
    signs: bool = False


def auth_tables(auth: object, key: str) -> Iterator[tuple[str, Tree, Tree]]:
    """Every table with one kind of credential: its key, the table, and all conditions for its use."""
    for at, variant in variants_of(auth, key):
        parts = variant.get("of") if variant.get("type") == "several" else None
        if not isinstance(parts, list):
            yield at, variant, table_of(variant.get("when"))
        for inner, one in variants_of(parts, f"{at}.of"):
            yield inner, one, {**table_of(variant.get("when")), **table_of(one.get("when"))}


def auth_conditions(auth: object, key: str) -> Iterator[tuple[str, Tree]]:
    """Every ``when`` in the tables of credentials, with its key."""
    yield from ((f"{at}.when", table_of(one.get("when"))) for at, one in variants_of(auth, key))
    for at, one, _ in auth_tables(auth, key):
        if ".of[" in at:
            yield f"{at}.when", table_of(one.get("when"))
        yield f"{at}.login.basic.when", table_of(table_of(table_of(one.get("login")).get("basic")).get("when"))


def auth_templates(auth: object, key: str) -> Iterator[AuthTemplate]:
    """Every template in the tables of credentials."""
    for at, one, when in auth_tables(auth, key):
        for name in _TEXTS:
            yield AuthTemplate(f"{at}.{name}", one.get(name), when, required=True)
        for name, text, required in _signing_texts(one):
            yield AuthTemplate(f"{at}.{name}", text, when, required=required)
        yield from _login(one, at, when)


def _login(auth: Tree, key: str, when: Tree) -> Iterator[AuthTemplate]:
    login, assertion = table_of(auth.get("login")), table_of(auth.get("assertion"))
    yield from _signing(assertion, f"{key}.assertion", when)
    if auth.get("type") == "jwt":
        yield from _signing(auth, key, when)
    basic, at = table_of(login.get("basic")), f"{key}.login"
    for name in ("username", "password"):
        both = {**when, **table_of(basic.get("when"))}
        yield AuthTemplate(f"{at}.basic.{name}", basic.get(name), both, required=True)
    for name in ("url", "text"):
        yield AuthTemplate(f"{at}.{name}", login.get(name), when, required=True)
    trees = [(f"{at}.{name}", login.get(name)) for name in _REQUEST_TEXTS]
    trees += [(f"{key}.{name}", auth.get(name)) for name in ("scope", "form")]
    trees += [(f"{key}.assertion.audience", assertion.get("audience"))]
    for where, tree in trees:
        yield from (AuthTemplate(inner, text, when) for inner, text in texts_in(tree, where))


def _signing(table: Tree, key: str, when: Tree) -> Iterator[AuthTemplate]:
    """The texts of a token that the account signs."""
    for name in _KEY_TEXTS:
        yield AuthTemplate(f"{key}.{name}", table.get(name), when, required=True)
    yield AuthTemplate(f"{key}.key_id", table.get("key_id"), when)
    for inner, text in texts_in(table.get("claims"), f"{key}.claims"):
        yield AuthTemplate(inner, text, when, signs=True)


def setting_faults(auth: object, key: str, settings: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    """References to settings of a wrong type: an address needs one of type url, a key one of type private_key."""
    for at, one, _ in auth_tables(auth, key):
        login = table_of(one.get("login"))
        for where, template in ((f"{at}.token_url", one.get("token_url")), (f"{at}.login.url", login.get("url"))):
            if isinstance(template, str) and (found := _LEADING.match(template)) is not None:
                spec = settings.get(found[1])
                if spec is not None and spec.get("type") != "url":
                    yield where, f"begins with ${{account.{found[1]}}}, which must be a setting of type url"
        yield from _private_key(table_of(one.get("assertion")).get("key"), f"{at}.assertion.key", settings)
        yield from _machine_faults(one, at, settings)
        if one.get("type") == "jwt":
            yield from _private_key(one.get("key"), f"{at}.key", settings)
        yield from _refresh_token(one.get("refresh_token"), f"{at}.refresh_token", settings)


def _refresh_token(text: object, key: str, settings: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    found = _LEADING.fullmatch(text) if isinstance(text, str) else None
    known = found is not None and settings.get(found[1], {"secret": True}).get("secret") is True
    if isinstance(text, str) and not known:
        yield key, "must be ${account.NAME}, a setting with secret = true, and nothing else"


def _private_key(text: object, key: str, settings: Mapping[str, Tree]) -> Iterator[tuple[str, str]]:
    found = _LEADING.fullmatch(text) if isinstance(text, str) else None
    known = found is not None and settings.get(found[1], {"type": "private_key"}).get("type") == "private_key"
    if isinstance(text, str) and not known:
        yield key, "must be ${account.NAME}, a setting of type private_key, and nothing else"


# --- signatures -------------------------------------------------------------------------------------------------------


def _signing_texts(auth: Mapping[str, Any]) -> Iterator[tuple[str, object, bool]]:
    """The key, the template and whether it must have a value, of every text that refers to settings only.

    Each may contain secrets: what is made of it goes to the provider's own origin. Of a text of a signature, which also
    refers to the request, every reference to a setting is a text of its own.
    """
    match auth.get("type"):
        case "hmac":
            yield "key", auth.get("key"), True
            yield from _settings_in("string_to_sign", auth.get("string_to_sign"))
            for table in ("headers", "query"):
                texts = auth.get(table)
                for name, text in texts.items() if isinstance(texts, Mapping) else ():
                    yield from _settings_in(f"{table}.{name}", text)
        case "aws4":
            yield from ((name, auth.get(name), True) for name in _AWS_TEXTS)
            yield "session_token", auth.get("session_token"), False
        case _:
            return


def _settings_in(key: str, text: object) -> Iterator[tuple[str, object, bool]]:
    if isinstance(text, str):
        yield from ((key, one, True) for one in account_references(text))


def _machine_faults(
    auth: Mapping[str, Any], key: str, settings: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, str]]:
    """The machine's own keys are used only if the operator writes so: no default may say it."""
    default = settings.get("credentials", {}).get("default")
    if auth.get("type") == "aws4" and auth.get("credentials") == "machine" and default == "machine":
        yield f"{key}.credentials", "is used without a word of the operator: give account.credentials another default"


# --- values of the login ----------------------------------------------------------------------------------------------


_WITH_LOGIN_VALUES = frozenset({"base_url", "url", "query", "headers"})
_IN_A_BODY = frozenset({"json", "form", "text", "multipart"})


def login_value_faults(raw: Tree) -> Iterator[tuple[str, str]]:
    """The faults of every ``${login.NAME}``: of its place, of its name, and of a base URL without origins."""
    keeps = [_kept(one) for _, one, _ in auth_tables(raw.get("auth"), "auth") if "login" in one or "token_url" in one]
    needed = False
    for section in ("base_url", "operations", "probe", "origins"):
        for key, text in texts_in(raw.get(section), section):
            for name in (one.name for one in references_in(text) if one.scope == "login"):
                needed = True
                yield from _login_value(key, name, keeps)
                if section == "base_url" and not tables_of(raw.get("origins")):
                    reason = "so the table origins must declare to which addresses it may lead"
                    yield "base_url", f"refers to ${{login.{name}}}, which the login's reply chooses, {reason}"
    variants = [at for at, _ in variants_of(raw.get("auth"), "auth")]
    if needed and keeps and len(keeps) < len(variants):
        yield "auth", "has variants without a login, which bring no values ${login.NAME}"


def _login_value(key: str, name: str, keeps: list[Tree]) -> Iterator[tuple[str, str]]:
    parts = {part.partition("[")[0] for part in key.split(".")}
    if parts & _IN_A_BODY or not parts & _WITH_LOGIN_VALUES or key.startswith("origins."):
        yield key, f"refers to ${{login.{name}}}, which only base_url, url, query and headers may"
    elif not keeps or any(name not in one for one in keeps):
        known = ", ".join(sorted({one for keep in keeps for one in keep})) or "none"
        yield key, f"refers to ${{login.{name}}}, but the login keeps no such value (there are: {known})"


def _kept(auth: Tree) -> Tree:
    return table_of((table_of(auth.get("login")) if "login" in auth else auth).get("keep"))
