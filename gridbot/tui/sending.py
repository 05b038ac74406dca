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
Answered = Callable[[Action, dict[str, Any], bool, str, str], None]


class Sent(NamedTuple):
    """A command that waits for its answer."""

    row: Action
    args: dict[str, Any]
    future: "Future[Ack]"
    at: float
    notice: str
    patient: bool = True


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
        return any(one.patient for one in self._sent)

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
            elif one.patient and now - one.at > PATIENCE_SECONDS:
                self._note(NO_ANSWER, "bad", one.notice)
                self._sent.append(one._replace(patient=False, notice=NO_ANSWER))
            else:
                self._sent.append(one)

    def _report(self, sent: Sent, ack: Ack) -> None:
        if ack.ok:
            self._note(f"ok: {ack.message}", "good", sent.notice)
        elif ack.code != "confirm":
            code = f"{ack.code} " if ack.code else ""
            self._note(f"refused: {code}{ack.message}", "bad", sent.notice)
        else:
            self._note("the engine asks first", "info", sent.notice)
        self._on_answer(sent.row, sent.args, ack.ok, ack.code, ack.message)
