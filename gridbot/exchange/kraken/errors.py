"""What Kraken's errors mean to us: the whole tree on one page.

    class       what happened                  a read raises    a write answers
    lockout     the key is shut for a while    RateLimited      later, and silence for 15 minutes
    fatal       key, permission, account       Fatal            (raises Fatal)
    unknown     may or may not have happened   RetryLater       unknown
    nonce       refused before it was read     RetryLater       later (after one try more)
    backoff     too fast, nothing happened     RateLimited      later
    mode        the market is restricted       RetryLater       later
    not_unique  our order is there already     Refused          accepted, once it was found
    reject      understood and refused         Refused          refused
    unsent      nobody could have heard it     RetryLater       later

An amend that did not happen is ``refused`` in each of these cases, since the order rests where it
was; a cancel of an order that is gone is ``accepted``. The strings themselves are in errors.toml.
"""

import tomllib
from functools import cache
from importlib import resources
from typing import Literal, get_args

from gridbot.core.records import Outcome, OutcomeKind, Verb
from gridbot.exchange.protocol import BadAnswer, ExchangeError, Fatal, RateLimited, RetryLater

ErrorClass = Literal[
    "lockout", "fatal", "unknown", "nonce", "backoff", "mode", "not_unique", "reject", "unsent"
]  # the gravest first
GONE = ("eorder:unknown order", "eorder:cancel pending", "eorder:invalid order")
RULES = ("minimum", "tick size", "invalid price", "invalid arguments:volume")


class Refusal(Exception):
    """A call that brought nothing: its class, Kraken's text or our own, and until when."""

    def __init__(self, kind: ErrorClass, text: str, until: float = 0.0, detail: str = "") -> None:
        super().__init__(text)
        self.kind, self.text, self.until, self.detail = kind, text, until, detail


class Refused(BadAnswer):
    """Kraken will not answer this question."""


def classify(text: str) -> ErrorClass:
    """The class of one of Kraken's error strings; ``unknown`` for one never heard of."""
    return _meaning(text)[0]


def gravest(texts: list[str]) -> Refusal:
    """What several error strings of one answer amount to."""
    kinds = get_args(ErrorClass)
    text = min(texts, key=lambda one: kinds.index(classify(one)))
    return Refusal(classify(text), text.strip(), detail=_meaning(text)[1])


def read_error(refusal: Refusal, endpoint: str) -> ExchangeError:
    """What a read raises for ``refusal``."""
    text = f"{endpoint}: {refusal}" + (f" ({refusal.detail})" if refusal.detail else "")
    if refusal.kind == "fatal":
        return Fatal(text)
    if refusal.kind in ("lockout", "backoff"):
        return RateLimited(text, refusal.until)
    if refusal.kind in ("reject", "not_unique"):
        return Refused(endpoint, refusal.text)
    return RetryLater(text)


def outcome(client_id: str, verb: Verb, refusal: Refusal) -> Outcome:
    """What a write answers for ``refusal``; raises Fatal."""
    if refusal.kind == "fatal":
        raise read_error(refusal, verb)
    kind: OutcomeKind = "later"
    if refusal.kind == "unknown":
        kind = "unknown"
    elif verb == "cancel" and _key(refusal.text).startswith(GONE):
        kind = "accepted"
    elif verb == "amend" or (verb == "place" and refusal.kind in ("reject", "not_unique")):
        kind = "refused"
    text = refusal.detail or refusal.text.partition(":")[2].strip() or refusal.text
    return Outcome(client_id, verb, kind, "", refusal.text, text, refusal.until)


def about_rules(text: str) -> bool:
    """Whether Kraken refused an order for the pair's rules: they may have changed."""
    return any(rule in _key(text) for rule in RULES)


def _key(text: str) -> str:
    return text.strip().lower().replace(": ", ":")


@cache
def _table() -> dict[str, tuple[ErrorClass, str]]:
    data = resources.files(__package__).joinpath("errors.toml").read_text("utf-8")
    tree = tomllib.loads(data)
    return {
        text: (kind, tree[kind][text]) for kind in get_args(ErrorClass)[:-1] for text in tree[kind]
    }


def _meaning(text: str) -> tuple[ErrorClass, str]:
    matches = [start for start in _table() if _key(text).startswith(start)]
    return _table()[max(matches, key=len)] if matches else ("unknown", "")
