"""The one table of what an operator can do, and the command language derived from it.

``actions.toml`` holds a row per action. This module reads it and answers: what does this text
mean (``parse``), what could follow it (``complete``), which keys lead where (``key_map``). It
knows nothing of a screen. Error codes are stable: E01 unknown verb, E02 word missing, E03 word too
many, E04 open quote, E11 not a number, E12 decimal comma, E13 not a whole number, E14 out of
range, E19 not one of the choices, E30 no such slot, E38 ambiguous; others stand in the table.
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
SEVERAL = ("all", "marked")  # what may stand for a slot where several are meant
_WANTED = {  # what is missing when it is missing
    "slot": "a slot number", "slots": "a slot number", "place": "a slot number or alias",
    "int": "a whole number", "decimal": "a number, {0.low} to {0.high}",
}  # fmt: skip


When = Literal[
    "", "running", "stopped", "halted", "slot_running", "slot_paused", "waiting", "pending", "sim"
]
ConfirmIf = Literal["", "many", "many_or_caution", "big_change", "off", "leave", "leave_live"]


class Argument(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One word after a verb; ``low`` and ``high`` are inclusive."""

    name: str
    type: Literal["slot", "slots", "place", "int", "decimal", "choice", "word", "path", "text"]
    title: str = ""
    optional: bool = False
    keyed: bool = False
    wrong: str = ""
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
        name = self.shown.upper()
        spans = {
            "slot": "N",
            "slots": "N|all|marked",
            "place": "N|ALIAS",
            "word": name,
            "path": name,
            "text": name,
        }
        numbers = name if len(self.high) > 6 else f"{self.low}..{self.high}"
        text = "|".join(self.choices) or spans.get(self.type) or numbers
        text = f"{self.name}:{text}" if self.keyed else text
        return f"[{text}]" if self.optional else text


class Action(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One row of the table; the meaning of the fields stands at its top."""

    id: str
    group: Literal["move", "views", "bot", "change", "slots", "app"]
    label: str
    keys: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    args: tuple[Argument, ...] = ()
    engine: str = ""
    local: str = ""
    fixed: dict[str, Any] = {}
    where: tuple[str, ...] = ()
    when: When = ""
    confirm: Literal["none", "low", "high", "typed"] = "none"
    confirm_if: ConfirmIf = ""
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
    """What a command may refer to: the selected slot, all with their aliases, whether any is
    marked."""

    selected: int | None = None
    slots: Mapping[int, str] = {}
    marked: bool = False


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

    groups = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    rows = [{**row, "group": group} for group, rows in groups.items() for row in rows]
    return msgspec.convert(rows, tuple[Action, ...])


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
    if row.args and row.args[-1].type == "text":
        rest = [" ".join(rest)] if rest else []
    return ParsedCommand(row, {**row.fixed, **_match(row, " ".join(verb), rest, scene)})


def default_args(row: Action, scene: Scene) -> dict[str, Any]:
    """The arguments of an action called by key: its slot is the selected one, or the marked."""
    return {**row.fixed, **_slots_meant(row, scene)}


def _slots_meant(row: Action, scene: Scene) -> dict[str, Any]:
    several = "marked" if scene.marked else None
    return {
        one.name: several if several and one.type == "slots" else _selected(scene)
        for one in row.args
        if one.type in ("slot", "slots")
    }


def _find_verb(words: list[str]) -> tuple[tuple[str, ...], list[str]]:
    verbs = _rows_by("verbs")
    names, first = {verb[0] for verb in verbs}, words[0].lower()
    if first not in names:
        open_ones = {verb[0] for verb, rows in verbs.items() if not rows[0].exact}
        first = _only(open_ones, first) or _unknown(names, first)
    targets = [verb[1] for verb in verbs if verb[0] == first and len(verb) == 2]
    fitting = [one for one in targets if len(words) > 1 and one.startswith(words[1].lower())]
    if len(fitting) == 1:
        return (first, fitting[0]), words[2:]
    bare = verbs.get((first,))
    if bare is None or (targets and words[1:] and not bare[0].args):
        raise CommandError("E02", f"{first} wants a target: {' '.join(targets)}")
    return (first,), words[1:]


def _only(names: Iterable[str], word: str) -> str:
    """The name that is ``word``, else the one that begins with it, or nothing."""
    fitting = sorted(name for name in names if name.startswith(word))
    if word in fitting:
        return word
    if len(fitting) > 1:
        raise CommandError("E38", f'"{word}" fits {", ".join(fitting)}')
    return fitting[0] if fitting else ""


def _unknown(verbs: Iterable[str], word: str) -> NoReturn:
    from difflib import get_close_matches

    near = get_close_matches(word, sorted(verb for verb in verbs if len(verb) > 2), 1, 0.5)
    ways = f'did you mean "{near[0]}"' if near else "? lists them"
    raise CommandError("E01", f'no command "{word}"; {ways}')


def _match(row: Action, verb: str, words: list[str], scene: Scene) -> dict[str, Any]:
    """Words go to arguments in order; an optional one that a word does not fit is passed over, and
    may be named instead (for:2h)."""
    args: dict[str, Any] = {}
    named = {one.name: one for one in row.args if one.optional and one.type != "text"}
    waiting, before = tuple(one for one in row.args if not one.keyed), verb
    for word in words:
        name, colon, value = word.partition(":")
        if colon and name.lower() in named:
            one = named[name.lower()]
            args[one.name] = _value(one, verb, value, scene)
            waiting = tuple(other for other in waiting if other is not one)
            continue
        place = next((i for i, one in enumerate(waiting) if _takes(one, word)), None)
        if place is None:
            raise _no_place(waiting, verb, word, before)
        args[waiting[place].name] = _value(waiting[place], verb, word, scene)
        waiting, before = waiting[place + 1 :], word
    if missing := next((one for one in row.args if not (one.optional or one.name in args)), None):
        raise CommandError(
            "E02", f"{verb} wants {_WANTED.get(missing.type, 'a {0.shown}')}".format(missing)
        )
    unsaid = [one for one in row.args if one.type in ("slot", "slots") and one.name not in args]
    return {**_slots_meant(row, scene), **args} if any(one.optional for one in unsaid) else args


def _takes(argument: Argument, word: str) -> bool:
    if argument.optional and argument.type == "choice":
        return any(choice.startswith(word.lower()) for choice in argument.choices)
    if argument.type == "path":  # anything else is more likely another word misspelt
        return "/" in word or "." in word
    several = argument.type == "slots" and word.lower() in SEVERAL
    whole_only = argument.optional and argument.type in ("slot", "slots", "int")
    return not whole_only or several or bool(_WHOLE.fullmatch(word))


def _no_place(waiting: tuple[Argument, ...], verb: str, word: str, before: str) -> CommandError:
    """None of the arguments left takes ``word``: complain in the terms of the likeliest."""
    choices = [one for one in waiting if one.type == "choice"]
    if choices and word[:1] not in "+-0123456789":
        return _wrong(choices[0], word, "E19", f"{choices[0].shown} is {_either(choices[0])}")
    if any(one.type in ("slot", "slots", "int") for one in waiting):
        return CommandError("E13", f"{verb} wants whole numbers")
    return CommandError("E03", f'nothing goes after "{before}"')


def _either(argument: Argument) -> str:
    *most, last = argument.choices
    return f"{', '.join(most)} or {last}" if most else last


def _wrong(argument: Argument, word: str, code: str, text: str) -> CommandError:
    """The argument's own message for a bad value, or the usual one."""
    own_code, _, own_text = argument.wrong.format(word=word).partition(": ")
    return CommandError(own_code or code, own_text or text)


def _value(argument: Argument, verb: str, word: str, scene: Scene) -> Any:
    match argument.type:
        case "slots" if word.lower() in SEVERAL:
            return word.lower()
        case "slot" | "slots" | "int" if not _WHOLE.fullmatch(word):
            raise _wrong(argument, word, "E13", f"{verb} wants whole numbers")
        case "slot" | "slots" | "place":
            return _slot(word, scene)
        case "int" | "decimal":
            number = _number(argument, word)
            return int(number) if argument.type == "int" else plain(number)
        case "choice":
            chosen = _only(argument.choices, word.lower())
            if not chosen:
                raise _wrong(argument, word, "E19", f"{argument.shown} is {_either(argument)}")
            return chosen
    return word


def _number(argument: Argument, word: str) -> Decimal:
    if _COMMA.fullmatch(word):
        raise CommandError("E12", f"use a dot: {word.replace(',', '.')}")
    if not _NUMBER.fullmatch(word):
        raise CommandError("E11", f'{argument.shown} needs a number, got "{word}"')
    value, low, high = Decimal(word), argument.low, argument.high
    if not Decimal(low) <= value <= Decimal(high):
        outside = f"{argument.shown} {plain(value)} is outside {low} to {high}"
        raise _wrong(argument, word, "E14", outside)
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
