"""Commands on their way to the engine. Nothing says ok before the engine does."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, NamedTuple

from gridbot.core.records import Ack
from gridbot.engine.actions import Action
from gridbot.engine.client import EngineClient

PATIENCE_SECONDS = 5.0
NO_ANSWER = "no answer after 5s; the command may still run, see :messages"

Note = Callable[[str, str, str], None]  # text, severity, the notice it replaces
Answered = Callable[[Action, dict[str, Any], Ack], None]


class Sent(NamedTuple):
    """A command that waits for its answer."""

    row: Action
    args: dict[str, Any]
    future: "Future[Ack]"
    at: float
    notice: str  # what stands on the screen about it


class Sender:
    """Sends, and reports ``sent``, then the engine's answer, or that none came."""

    def __init__(self, client: EngineClient, note: Note, on_answer: Answered) -> None:
        self._client = client
        self._note = note
        self._on_answer = on_answer
        self._sent: list[Sent] = []

    @property
    def waiting(self) -> bool:
        """Whether an answer may come any moment."""
        return any(one.notice != NO_ANSWER for one in self._sent)

    @property
    def answered(self) -> bool:
        """Whether an answer has come."""
        return any(one.future.done() for one in self._sent)

    def send(self, row: Action, args: dict[str, Any], now: float) -> None:
        """Send at ``now`` seconds."""
        words = " ".join(str(value) for name, value in args.items() if name != "force")
        notice = f"sent: {row.engine.replace('_', ' ')} {words}".rstrip()
        self._note(notice, "info", "")
        self._sent.append(Sent(row, args, self._client.send(row.engine, args), now, notice))

    def check(self, now: float) -> None:
        """Report the answers that have come."""
        waiting, self._sent = self._sent, []
        for one in waiting:
            if one.future.done():
                self._report(one, one.future.result())
                continue
            if one.notice != NO_ANSWER and now - one.at > PATIENCE_SECONDS:
                self._note(NO_ANSWER, "bad", one.notice)
                one = one._replace(notice=NO_ANSWER)
            self._sent.append(one)

    def _report(self, sent: Sent, ack: Ack) -> None:
        if ack.ok:
            severity, text = "good", f"ok: {ack.message}"
        elif ack.code == "confirm":
            severity, text = "info", "the engine asks first"
        else:
            severity, text = "bad", f"refused: {ack.code} {ack.message}"
        self._note(text, severity, sent.notice)
        self._on_answer(sent.row, sent.args, ack)
