"""The parameters of one request, typed as they are read; a bad one is Kraken's refusal."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

from gridbot.core.numbers import ZERO, NumberError, parse_decimal
from gridbot.exchange.emulator.pairs import Refused


def invalid(name: str) -> Refused:
    """The refusal of one argument."""
    return Refused(f"EGeneral:Invalid arguments:{name}")


class Asked(dict[str, Any]):
    """Texts from a form or a query, anything from JSON."""

    @classmethod
    def read(cls, body: bytes, content_type: str) -> "Asked":
        """The parameters in ``body``; raises Refused."""
        try:
            if content_type.partition(";")[0].strip() != "application/json":
                return cls(parse_qsl(body.decode(), keep_blank_values=True))
            return cls(json.loads(body or b"{}", parse_float=Decimal))
        except (ValueError, TypeError):
            raise Refused("EAPI:Bad request") from None

    def text(self, name: str, default: str = "") -> str:
        value = self.get(name)
        if isinstance(value, list | dict):
            raise invalid(name)
        return default if value is None or value == "" else str(value)

    def flag(self, name: str) -> bool:
        """Words in any case: Python's own spelling counts too."""
        return self.text(name).lower() in ("true", "1")

    def number(self, name: str, default: Decimal | None = None) -> Decimal:
        """A number, 0 or more; required without ``default``."""
        if not (text := self.text(name)) and default is not None:
            return default
        try:
            value = parse_decimal(text)
        except NumberError:
            raise invalid(name) from None
        if value < ZERO:
            raise invalid(name)
        return value

    def names(self, *names: str) -> list[str]:
        """A comma list or a JSON list under the first of these names that is there."""
        value = next((self[name] for name in names if self.get(name)), "")
        every = value.split(",") if isinstance(value, str) else value
        return [str(one).strip() for one in every if one != ""]

    def moment(self, name: str, default: float) -> float:
        """An RFC 3339 time as epoch seconds."""
        if not (text := self.text(name)):
            return default
        try:
            return datetime.fromisoformat(text).timestamp()
        except ValueError:
            raise invalid(name) from None
