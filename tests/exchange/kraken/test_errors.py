"""Each of Kraken's error strings and what it makes us do."""

import pytest

from gridbot.core.records import Verb
from gridbot.exchange.kraken.errors import (
    ErrorClass,
    Refusal,
    Refused,
    about_rules,
    classify,
    gravest,
    outcome,
    read_error,
)
from gridbot.exchange.protocol import Fatal, RateLimited, RetryLater

STRINGS: dict[ErrorClass, list[str]] = {
    "lockout": ["EGeneral:Temporary lockout"],
    "fatal": [
        "EAPI:Invalid key", "EAPI:Invalid signature", "EAPI:Feature disabled",
        "EGeneral:Permission denied", "EGeneral:Unknown method",
        "EOrder:Trading agreement required", "EQuery:Unknown asset", "EQuery:Unknown asset pair",
        "ETrade:Locked", "ETrade:User Locked", "EAccount:Invalid permissions:DOGE trading",
        "EAuth:Account temporary disabled", "EAuth:Account unconfirmed",
    ],
    "unknown": [
        "EGeneral:Internal error", "EGeneral:Internal error:17", "EService:Unavailable",
        "EService:Busy", "EService:Deadline elapsed", "EDatabase:Internal error",
        "ESomething:Nobody ever saw", "no grammar at all", "",
    ],
    "nonce": ["EAPI:Invalid nonce", "eapi: Invalid Nonce"],
    "backoff": [
        "EAPI:Rate limit exceeded", "EGeneral:Too many requests",
        "EService: Throttled: 1700000000", "EService:Throttled:1700000000",
        "EOrder:Rate limit exceeded", "EOrder:Domain rate limit exceeded",
        "EAuth:Rate limit exceeded", "EAuth:Too many requests",
    ],
    "mode": [
        "EService:Market in cancel_only mode", "EService:Market in post_only mode",
        "EService:Market in limit_only mode",
    ],
    "not_unique": ["EGeneral:Invalid arguments:cl_ord_id not unique"],
    "reject": [
        "EAPI:Bad request", "EGeneral:Invalid arguments", "EGeneral:Invalid arguments:volume",
        "EGeneral:Invalid arguments:cl_ord_id", "EOrder:Insufficient funds",
        "EOrder:Order minimum not met", "EOrder:Cost minimum not met",
        "EOrder:Tick size check failed", "EOrder:Invalid price", "EOrder:Invalid order",
        "EOrder:Post only order", "EOrder:Orders limit exceeded",
        "EOrder:Scheduled orders limit exceeded", "EOrder:Unknown order", "EOrder:Cancel pending",
        "EOrder:Order not editable", "EOrder:Not enough leaves qty", "EOrder:Margin allowance",
        "EOrder:Reduce only:No position exists", "EOrder:Something new", "ETrade:Invalid request",
        "EFunding:Unknown withdraw key", "EBM:limit exceeded:CAL",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), [(k, text) for k in STRINGS for text in STRINGS[k]])
def test_an_error_string_has_its_class(kind: ErrorClass, text: str) -> None:
    assert classify(text) == kind
    assert classify(f" {text.upper()} ") == kind


def test_of_several_strings_the_gravest_counts() -> None:
    assert gravest(["EOrder:Insufficient funds", "EService:Busy"]).kind == "unknown"
    assert gravest(["EService:Busy", "EAPI:Invalid key"]).text == "EAPI:Invalid key"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("lockout", RateLimited), ("fatal", Fatal), ("unknown", RetryLater), ("nonce", RetryLater),
     ("backoff", RateLimited), ("mode", RetryLater), ("not_unique", Refused),
     ("reject", Refused), ("unsent", RetryLater)],
)  # fmt: skip
def test_a_read_raises_by_class(kind: ErrorClass, error: type[Exception]) -> None:
    raised = read_error(Refusal(kind, "text", until=7.0), "Endpoint")
    assert type(raised) is error and "Endpoint" in str(raised) and "text" in str(raised)
    assert not isinstance(raised, RateLimited) or raised.until == 7.0


@pytest.mark.parametrize(
    ("verb", "kind", "expected"),
    [("place", "reject", "refused"), ("place", "unknown", "unknown"), ("place", "mode", "later"),
     ("place", "backoff", "later"), ("place", "nonce", "later"), ("place", "lockout", "later"),
     ("place", "unsent", "later"), ("amend", "reject", "refused"), ("amend", "mode", "refused"),
     ("amend", "backoff", "refused"), ("amend", "unknown", "unknown"),
     ("cancel", "unknown", "unknown"), ("cancel", "backoff", "later"), ("cancel", "mode", "later")],
)  # fmt: skip
def test_a_write_answers_by_class(verb: Verb, kind: ErrorClass, expected: str) -> None:
    answer = outcome("gb1", verb, Refusal(kind, "EOrder:Some text", until=9.0))
    assert (answer.kind, answer.code, answer.text) == (expected, "EOrder:Some text", "Some text")
    assert answer.until == 9.0


@pytest.mark.parametrize("text", ["EOrder:Unknown order", "EOrder:Cancel pending"])
def test_a_cancel_of_what_is_gone_is_accepted(text: str) -> None:
    assert outcome("gb1", "cancel", gravest([text])).kind == "accepted"
    assert outcome("gb1", "amend", gravest([text])).kind == "refused"


def test_a_fatal_refusal_of_a_write_is_raised_with_advice() -> None:
    with pytest.raises(Fatal, match=r"EGeneral:Permission denied.*gridbot doctor"):
        outcome("gb1", "place", gravest(["EGeneral:Permission denied"]))


def test_refusals_for_the_rules_of_the_pair_are_told_apart() -> None:
    rules = ["EOrder:Order minimum not met", "EOrder:Cost minimum not met",
             "EOrder:Tick size check failed", "EOrder:Invalid price:XBTUSD price can only be",
             "EGeneral:Invalid arguments:volume minimum not met"]  # fmt: skip
    assert all(map(about_rules, rules))
    assert not about_rules("EOrder:Insufficient funds")
