"""What every command has in common: it can be refused, and it may name a time or an order."""

import re

_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86_400.0}


class Refusal(Exception):
    """A command that may not be carried out: a stable code and one line for the operator.
    ``confirm``: what the line is about, where it only asks; see Ack."""

    def __init__(self, code: str, text: str, confirm: str = "") -> None:
        super().__init__(text)
        self.code, self.confirm = code, confirm


def seconds_of(text: str, name: str, low: str, high: str) -> float:
    """The seconds of a time such as 30m, 2h or 7d between ``low`` and ``high``."""
    found = [re.fullmatch(r"(\d{1,4})([mhd])", one) for one in (text, low, high)]
    value, least, most = (int(one[1]) * _SECONDS[one[2]] if one else -1.0 for one in found)
    if not least <= value <= most:
        raise Refusal("E16", f'{name} wants {low} to {high}, got "{text}"')
    return value
