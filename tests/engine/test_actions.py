"""The action table and the command language: every row usable, every wrong text told exactly."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridbot.core import lifecycle
from gridbot.engine import shell
from gridbot.engine.actions import (
    COMPLETIONS_MAX,
    CommandError,
    Scene,
    complete,
    default_args,
    key_map,
    parse,
    table,
)

SCENE = Scene(3, {1: "heron", 2: "herb", 3: "", 5: "Lark"})


@pytest.mark.parametrize(
    ("text", "action_id", "args"),
    [
        ("add", "slot.add", {}),
        ("ADD", "slot.add", {}),
        ("add 3", "slot.add", {"count": 3}),
        ("add c", "slot.add", {"kind": "cycle"}),
        ("  add   sticky  10 ", "slot.add", {"kind": "sticky", "count": 10}),
        ("remove 2", "slot.remove", {"slot": 2}),
        ("rem 2", "slot.remove", {"slot": 2}),
        ("toggle", "slot.toggle", {"slot": 3}),
        ("toggle 2", "slot.toggle", {"slot": 2}),
        ("toggle cycle", "slot.toggle", {"slot": 3, "kind": "cycle"}),
        ("toggle 1 sticky", "slot.toggle", {"slot": 1, "kind": "sticky"}),
        ("pause", "bot.pause", {}),
        ("pause 2", "slot.pause", {"slot": 2}),
        ("resume", "bot.resume", {}),
        ("resume 2", "slot.resume", {"slot": 2}),
        ("drain", "bot.drain", {}),
        ("cancel-all", "bot.cancel_all", {}),
        ("alias crane", "slot.alias", {"slot": 3, "alias": "crane"}),
        ("alias 5star", "slot.alias", {"slot": 3, "alias": "5star"}),
        ("rename 2 crane", "slot.alias", {"slot": 2, "alias": "crane"}),
        ('alias 2 ""', "slot.alias", {"slot": 2, "alias": ""}),
        ('alias 2 "two words"', "slot.alias", {"slot": 2, "alias": "two words"}),
        ("set entry 0.50", "set.entry", {"value": "0.5"}),
        ("set PROFIT 50", "set.profit", {"value": "50"}),
        ("se e 1", "set.entry", {"value": "1"}),
        ("jump 2", "slot.jump", {"slot": 2}),
        ("jump heron", "slot.jump", {"slot": 1}),
        ("jump la", "slot.jump", {"slot": 5}),
        ("messages", "app.messages", {}),
        ("help", "app.help", {}),
        ("?", "app.help", {}),
        ("version", "app.version", {}),
        ("q", "app.leave", {}),
        ("quit", "app.leave", {}),
        ("q!", "app.leave_now", {"force": True}),
        ("add sticky 2 alias:heron", "slot.add", {"kind": "sticky", "count": 2, "alias": "heron"}),
        ("add alias:Lark", "slot.add", {"alias": "Lark"}),
        ("pause all", "slot.pause", {"slot": "all"}),
        ("toggle marked cycle", "slot.toggle", {"slot": "marked", "kind": "cycle"}),
        ("remove all", "slot.remove_all", {"slot": "all"}),
        ("gov", "view.governor", {"name": "governor"}),
        ("governor mode off", "governor.mode", {"mode": "off"}),
        ("governor dismiss for:2h", "governor.dismiss", {"for": "2h"}),
        ("governor set high 0.7", "governor.set", {"name": "high", "value": "0.7"}),
        ("writeoff stale age:2h", "order.write_off", {"target": "stale", "age": "2h"}),
        ("ledger", "ledger.filter", {}),
        ("ledger slot:8 type:FEE", "ledger.filter", {"words": "slot:8 type:FEE"}),
        ("ledger clear", "ledger.clear", {}),
        ("find two words", "find.text", {"text": "two words"}),
        ("filter", "filter.set", {}),
        ("fps 0", "look.fps", {"value": 0}),
        ("view gov", "view.choose", {"name": "governor"}),
        (
            "export! slots csv out.csv",
            "export.over",
            {"force": True, "what": "slots", "format": "csv", "path": "out.csv"},
        ),
        ("export ledger json", "export.new", {"force": False, "what": "ledger", "format": "json"}),
        ("export ledger out.x", "export.new", {"force": False, "what": "ledger", "path": "out.x"}),
        ("resume!", "bot.clear_halt", {}),
        ("f", "view.factory", {"name": "factory"}),
        ("x", "app.leave", {}),
        ("wq", "app.leave", {}),
    ],
)
def test_a_command_means_its_action_and_arguments(
    text: str, action_id: str, args: dict[str, object]
) -> None:
    command = parse(text, SCENE)
    assert (command.action.id, command.args) == (action_id, args)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "E02: type a command, ? lists them"),
        ("foo", 'E01: no command "foo"; ? lists them'),
        ("rsume", 'E01: no command "rsume"; did you mean "resume"'),
        ("qu", 'E01: no command "qu"; did you mean "quit"'),
        ("re", 'E38: "re" fits readonly, reconcile, redraw, refresh, remove, rename, resume'),
        ("set", "E02: set wants a target: entry profit speed theme fps"),
        ("set foo 8", "E02: set wants a target: entry profit speed theme fps"),
        ("set entry", "E02: set entry wants a number, 0.05 to 50"),
        ("remove", "E02: remove wants a slot number"),
        ("alias 2", "E02: alias wants a name"),
        ("jump", "E02: jump wants a slot number or alias"),
        ("drain all", 'E03: nothing goes after "drain"'),
        ("add 2 sticky", 'E03: nothing goes after "2"'),
        ("pause 1 2", 'E03: nothing goes after "1"'),
        ("set entry 1 2", 'E03: nothing goes after "1"'),
        ('alias "a', "E04: a quote is not closed"),
        ("set entry abc", 'E11: entry needs a number, got "abc"'),
        ("set profit nan", 'E11: profit needs a number, got "nan"'),
        ("set profit 1e3", 'E11: profit needs a number, got "1e3"'),
        ("set profit ٣", 'E11: profit needs a number, got "٣"'),
        ("set entry 0,5", "E12: use a dot: 0.5"),
        ("remove heron", "E13: remove wants whole numbers"),
        ("remove 1.5", "E13: remove wants whole numbers"),
        ("add 1.5", "E13: add wants whole numbers"),
        ("add 11", "E14: count 11 is outside 1 to 10"),
        ("add 0", "E14: count 0 is outside 1 to 10"),
        ("add -1", "E14: count -1 is outside 1 to 10"),
        ("set entry 60", "E14: entry 60 is outside 0.05 to 50"),
        ("set profit 0.01", "E14: profit 0.01 is outside 0.05 to 50"),
        ("add foo", "E19: kind is sticky or cycle"),
        ("governor mode foo", "E50: mode is suggest, autonomous or off"),
        ("governor foo", "E02: governor wants a target: approve dismiss mode set"),
        ("view foo", 'E80: no view "foo"'),
        ("theme foo", 'E84: no theme "foo"; Tab lists them'),
        ("glyphs blocks", "E85: glyphs is unicode or ascii"),
        ("fps 31", "E17: fps wants 1 to 30"),
        ("fps fast", "E17: fps wants 1 to 30"),
        ("find", "E02: find wants a text"),
        ("export ledger xml", "E19: format is csv, json or jsonl"),
        ("add count:99", "E14: count 99 is outside 1 to 10"),
        ("toggle 2 foo", "E19: kind is sticky or cycle"),
        ("remove 9", "E30: no slot 9 (1, 2, 3, 5 exist)"),
        ("jump nobody", 'E30: no slot is called "nobody"'),
        ("jump her", 'E38: "her" fits herb, heron'),
    ],
)
def test_a_wrong_command_is_told_with_its_code(text: str, message: str) -> None:
    with pytest.raises(CommandError) as refused:
        parse(text, SCENE)
    assert str(refused.value) == message


def test_many_slots_are_named_by_their_range() -> None:
    with pytest.raises(CommandError, match=r"^E30: no slot 99 \(1 to 84 exist\)$"):
        parse("remove 99", Scene(1, dict.fromkeys(range(1, 85), "")))


def test_without_slots_the_selected_one_cannot_be_meant() -> None:
    with pytest.raises(CommandError, match="E30: no slots yet"):
        parse("toggle")
    with pytest.raises(CommandError, match="E30: no slots yet"):
        default_args(next(row for row in table() if row.id == "slot.remove"), Scene())


WORDS = ["add", "set", "entry", "toggle", "alias", "jump", "1", "-1", "9" * 30, "st", '"', "x,1"]


def code_of(text: str) -> str:
    """The code of the refusal, or "" for a command."""
    try:
        parse(text, SCENE)
    except CommandError as error:
        return error.code
    return ""


@given(st.text(max_size=60) | st.lists(st.sampled_from(WORDS)).map(" ".join))
def test_any_text_is_a_command_or_one_clear_line(text: str) -> None:
    assert re.fullmatch(r"(E\d\d)?", code_of(text))
    assert len(complete(text)) <= COMPLETIONS_MAX


@pytest.mark.parametrize(
    ("text", "texts"),
    [
        ("a", ["add ", "alias "]),
        ("p", ["pause", "pause "]),
        ("add ", ["add sticky", "add cycle"]),
        ("ADD s", ["ADD sticky"]),
        ("set ", ["set entry ", "set profit ", "set speed ", "set theme ", "set fps "]),
        ("set p", ["set profit "]),
        ("toggle 1 c", ["toggle 1 cycle"]),
        ("zz", []),
    ],
)
def test_completion_goes_by_prefix(text: str, texts: list[str]) -> None:
    assert [one.text for one in complete(text)] == texts


@given(st.sampled_from([one.text for prefix in "acdhjmpqrstvwx?" for one in complete(prefix)]))
def test_what_is_completed_is_understood(text: str) -> None:
    assert code_of(text) in ("", "E02")  # at most a word is missing


def test_every_row_does_exactly_one_thing_and_can_be_reached() -> None:
    for row in table():
        assert bool(row.engine) != bool(row.local), row.id
        assert row.keys or row.verbs, row.id
        assert row.label, row.id
        assert row.confirm == "none" or row.ask, row.id


def test_every_engine_action_exists() -> None:
    named = {row.engine for row in table() if row.engine}
    assert named <= lifecycle._ACTIONS.keys() | set(shell.ACTIONS)
    assert lifecycle._ACTIONS.keys() - named == {"boot", "halt"}


def test_no_key_means_two_things_at_once() -> None:
    for keys, rows in key_map().items():
        whens = [row.when for row in rows]
        assert len(set(whens)) == len(whens), keys
        assert len(rows) == 1 or "" not in whens, keys
        assert not any(other[: len(keys)] == keys for other in key_map() if other != keys), keys
