"""The one table of what an operator can do, and the command language derived from it.

``actions.toml`` holds a row per action. This module reads it and answers: what does this text
mean (``parse``), what could follow it (``complete``), which keys lead where (``key_map``). It
knows nothing of a screen. Error codes are stable: E01 unknown verb, E02 word missing, E03 word too
many, E04 open quote, E11 not a number, E12 decimal comma, E13 not a whole number, E14 out of
range, E19 not one of the choices, E30 no such slot, E38 ambiguous.
"""

import re
from collections.abc import Iterable, Mapping
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple, NoReturn

import msgspec

from gridbot.core.numbers import plain

COMPLETIONS_MAX = 5
SLOTS_LISTED_MAX = 12
_WORD = re.compile(r'"([^"]*)"|([^\s"]+)')
_WHOLE = re.compile(r"[+-]?[0-9]{1,15}", re.ASCII)
_NUMBER = re.compile(r"[+-]?([0-9]{1,15}(\.[0-9]{0,18})?|\.[0-9]{1,18})", re.ASCII)
_COMMA = re.compile(r"[+-]?[0-9]*,[0-9]+", re.ASCII)
_WANTED = {  # what is missing when it is missing
    "slot": "a slot number", "place": "a slot number or alias", "int": "a whole number",
    "decimal": "a number, {0.low} to {0.high}",
}  # fmt: skip


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word after a verb; ``low`` and ``high`` are inclusive."""

    name: str
    type: Literal["slot", "place", "int", "decimal", "choice", "word"]
    title: str = ""
    optional: bool = False
    low: str = ""
    high: str = ""
    choices: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """How messages call it."""
        return self.title or self.name

    @property
    def usage(self) -> str:
        """How help writes it."""
        spans = {"slot": "N", "place": "N|ALIAS", "word": self.shown.upper()}
        text = "|".join(self.choices) or spans.get(self.type) or f"{self.low}..{self.high}"
        return f"[{text}]" if self.optional else text


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table; the meaning of the fields stands at its top."""

    id: str
    group: Literal["move", "bot", "slots", "app"]
    label: str
    keys: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    args: tuple[Argument, ...] = ()
    engine: str = ""
    local: str = ""
    fixed: dict[str, Any] = {}
    when: Literal["", "running", "stopped", "slot_running", "slot_paused"] = ""
    confirm: Literal["none", "low", "high", "typed"] = "none"
    confirm_if: Literal["", "many_or_caution", "big_change"] = ""
    ask: str = ""
    detail: tuple[str, ...] = ()
    yes: str = "yes"
    no: str = "no"
    hint: str = ""
    now: str = ""
    counts: bool = False
    exact: bool = False

    @property
    def usage(self) -> str:
        """The command as help writes it, without the colon."""
        return " ".join([*self.verbs[:1], *(argument.usage for argument in self.args)])


class Scene(msgspec.Struct, frozen=True):
    """What a command may refer to: the selected slot, and all slots with their aliases."""

    selected: int | None = None
    slots: Mapping[int, str] = {}


class ParsedCommand(NamedTuple):
    """An action with its checked arguments, ready for ``EngineClient.send``."""

    action: Action
    args: dict[str, Any]


class Completion(NamedTuple):
    """One way to go on: the whole text it leads to, and the row it belongs to."""

    text: str
    action: Action


class CommandError(ValueError):
    """A text that is no command: a stable code and one line for the operator."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


@cache
def table() -> tuple[Action, ...]:
    """All actions, in the order of the file."""
    import tomllib

    text = Path(__file__).with_suffix(".toml").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text)["action"], tuple[Action, ...])


@cache
def _rows_by(field: Literal["keys", "verbs"]) -> dict[tuple[str, ...], tuple[Action, ...]]:
    found: dict[tuple[str, ...], tuple[Action, ...]] = {}
    for row in table():
        for words in (tuple(text.split()) for text in getattr(row, field)):
            found[words] = (*found.get(words, ()), row)
    return found


def key_map() -> dict[tuple[str, ...], tuple[Action, ...]]:
    """Key sequences and the rows they may mean (more than one where ``when`` decides)."""
    return _rows_by("keys")


def parse(text: str, scene: Scene | None = None) -> ParsedCommand:
    """The command ``text`` means; raises CommandError with the line to show."""
    scene = scene or Scene()
    if text.count('"') % 2:
        raise CommandError("E04", "a quote is not closed")
    words = [bare or quoted for quoted, bare in _WORD.findall(text)]
    if not words:
        raise CommandError("E02", "type a command, ? lists them")
    verb, rest = _find_verb(words)
    rows = _rows_by("verbs")[verb]
    row = next((one for one in rows if len(rest) <= len(one.args)), rows[-1])
    return ParsedCommand(row, {**row.fixed, **_match(row, " ".join(verb), rest, scene)})


def default_args(row: Action, scene: Scene) -> dict[str, Any]:
    """The arguments of an action called by key: its slot is the selected one."""
    slot = {one.name: _selected(scene) for one in row.args if one.type == "slot"}
    return {**row.fixed, **slot}


def _find_verb(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    verbs = _rows_by("verbs")
    names, first = {verb[0] for verb in verbs}, words[0].lower()
    if first not in names:
        open_ones = {verb[0] for verb, rows in verbs.items() if not rows[0].exact}
        first = _only(open_ones, first) or _unknown(names, first)
    targets = [verb[1] for verb in verbs if verb[0] == first and len(verb) == 2]
    if not targets:
        return (first,), words[1:]
    fitting = [one for one in targets if len(words) > 1 and one.startswith(words[1].lower())]
    if len(fitting) != 1:
        raise CommandError("E02", f"{first} wants a target: {' '.join(targets)}")
    return (first, fitting[0]), words[2:]


def _only(names: Iterable[str], word: str) -> str:
    """The one name that begins with ``word``, or nothing."""
    fitting = sorted(name for name in names if name.startswith(word))
    if len(fitting) > 1:
        raise CommandError("E38", f'"{word}" fits {", ".join(fitting)}')
    return fitting[0] if fitting else ""


def _unknown(verbs: Iterable[str], word: str) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(word, sorted(verbs), 1, 0.5)
    ways = f'did you mean "{near[0]}"' if near else "? lists them"
    raise CommandError("E01", f'no command "{word}"; {ways}')


def _match(row: Action, verb: str, words: list[str], scene: Scene) -> dict[str, Any]:
    """Words go to arguments in order; an optional one that a word does not fit is passed over."""
    args: dict[str, Any] = {}
    waiting, before = row.args, verb
    for word in words:
        place = next((i for i, one in enumerate(waiting) if _takes(one, word)), None)
        if place is None:
            raise _no_place(waiting, verb, word, before)
        args[waiting[place].name] = _value(waiting[place], verb, word, scene)
        waiting, before = waiting[place + 1 :], word
    for one in row.args:
        if one.name not in args and one.type == "slot" and one.optional:
            args[one.name] = _selected(scene)
        elif one.name not in args and not one.optional:
            wanted = _WANTED.get(one.type, "a {0.shown}").format(one)
            raise CommandError("E02", f"{verb} wants {wanted}")
    return args


def _takes(argument: Argument, word: str) -> bool:
    if argument.optional and argument.type == "choice":
        return any(choice.startswith(word.lower()) for choice in argument.choices)
    whole_only = argument.optional and argument.type in ("slot", "int")
    return not whole_only or bool(_WHOLE.fullmatch(word))


def _no_place(waiting: tuple[Argument, ...], verb: str, word: str, before: str) -> CommandError:
    """None of the arguments left takes ``word``: complain in the terms of the likeliest."""
    choices = [one for one in waiting if one.type == "choice"]
    if choices and word[:1] not in "+-0123456789":
        return CommandError("E19", f"{choices[0].shown} is {' or '.join(choices[0].choices)}")
    if any(one.type in ("slot", "int") for one in waiting):
        return CommandError("E13", f"{verb} wants whole numbers")
    return CommandError("E03", f'nothing goes after "{before}"')


def _value(argument: Argument, verb: str, word: str, scene: Scene) -> Any:
    match argument.type:
        case "slot" | "int" if not _WHOLE.fullmatch(word):
            raise CommandError("E13", f"{verb} wants whole numbers")
        case "slot" | "place":
            return _slot(word, scene)
        case "int" | "decimal":
            number = _number(argument, word)
            return int(number) if argument.type == "int" else plain(number)
        case "choice":
            return _only(argument.choices, word.lower())
    return word


def _number(argument: Argument, word: str) -> Decimal:
    if _COMMA.fullmatch(word):
        raise CommandError("E12", f"use a dot: {word.replace(',', '.')}")
    if not _NUMBER.fullmatch(word):
        raise CommandError("E11", f'{argument.shown} needs a number, got "{word}"')
    value, low, high = Decimal(word), argument.low, argument.high
    if not Decimal(low) <= value <= Decimal(high):
        raise CommandError("E14", f"{argument.shown} {plain(value)} is outside {low} to {high}")
    return value


def _selected(scene: Scene) -> int:
    if scene.selected is None and scene.slots:
        raise CommandError("E02", "name a slot by its number")
    if scene.selected is None:
        raise CommandError("E30", "no slots yet: + adds one")
    return scene.selected


def _slot(word: str, scene: Scene) -> int:
    if _WHOLE.fullmatch(word):
        if int(word) in scene.slots:
            return int(word)
        ids = sorted(scene.slots)
        few = len(ids) <= SLOTS_LISTED_MAX
        known = ", ".join(map(str, ids)) if few else f"{ids[0]} to {ids[-1]}"
        raise CommandError("E30", f"no slot {int(word)} ({known or 'none'} exist)")
    names = {alias.lower(): slot for slot, alias in scene.slots.items() if alias}
    name = word.lower() if word.lower() in names else _only(names, word.lower())
    if not name:
        raise CommandError("E30", f'no slot is called "{word}"')
    return names[name]


def complete(text: str) -> list[Completion]:
    """At most five ways to go on, by prefix, in the order of the table."""
    typed = text.lstrip().lower()
    found: list[Completion] = []
    for verb, rows in _rows_by("verbs").items():
        head = " ".join(verb)
        for row in rows:
            if head.startswith(typed):
                found.append(Completion(head + " " * bool(row.args), row))
            elif typed.startswith(head + " ") and row.args:
                stem, blank, last = text.rpartition(" ")
                choices = [choice for argument in row.args for choice in argument.choices]
                fitting = [stem + blank + one for one in choices if one.startswith(last.lower())]
                found += [Completion(one, row) for one in fitting or [text]]
    return found[:COMPLETIONS_MAX]
