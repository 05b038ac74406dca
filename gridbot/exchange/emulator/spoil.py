"""Faults of the way back: answers of reads damaged as the edge or a new release would do it."""

import json
from collections.abc import Iterator
from typing import Any

from gridbot.exchange.emulator.faults import Faults
from gridbot.exchange.emulator.pairs import find_pair

HTML = b"<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
EMPTY = {"open": {}, "closed": {}, "trades": {}, "ledger": {}, "count": 0}
ROW_FIELDS = {"descr", "time", "altname", "hold_trade", "unixtime", "fee"}


def spoil(body: bytes, faults: Faults) -> bytes:
    """The body as it arrives."""
    fired = [name for name in CHANGES if name in faults.rates and faults.fires(name)]
    if fired:
        tree = json.loads(body)
        for name in fired:
            CHANGES[name](tree, faults)
        body = json.dumps(tree).encode()
    if faults.fires("truncated"):
        body = body[: faults.random.randrange(len(body))]
    return HTML if faults.fires("html") else body


def _empty(tree: Any, faults: Faults) -> None:
    tree["result"] = {name: EMPTY[name] for name in tree["result"] if name in EMPTY}


def _wrong_type(tree: Any, faults: Faults) -> None:
    places = [(row, name) for row in _rows(tree["result"]) for name in row]
    if places:
        row, name = faults.random.choice(places)
        row[name] = None if isinstance(row[name], int | float) else faults.random.choice((None, 7))


def _unknown_field(tree: Any, faults: Faults) -> None:
    for row in _rows(tree["result"]):
        row["news"] = {"of": ["another", "release"]}


def _unknown_status(tree: Any, faults: Faults) -> None:
    if rows := [row for row in _rows(tree["result"]) if "descr" in row]:
        faults.random.choice(rows)["status"] = "under_review"


def _other_spelling(tree: Any, faults: Faults) -> None:
    for row in _rows(tree["result"]):
        holder = row.get("descr", row)
        if isinstance(holder, dict) and "pair" in holder:
            pair = find_pair(holder["pair"])
            names = (pair.id, pair.altname, pair.wsname, pair.rules.pair)
            holder["pair"] = faults.random.choice(names)


def _rows(tree: Any) -> Iterator[dict[str, Any]]:
    """The records in an answer, not the maps they stand in."""
    if isinstance(tree, dict):
        if tree.keys() & ROW_FIELDS:
            yield tree
        else:
            for part in tree.values():
                yield from _rows(part)


CHANGES = {
    "empty-success": _empty, "wrong-type": _wrong_type, "unknown-field": _unknown_field,
    "unknown-status": _unknown_status, "other-spelling": _other_spelling,
}  # fmt: skip
