"""Exact numbers: one decimal context, checked parsing, rounding to a grid.

Rules: money, prices and volumes are ``Decimal`` from text to text, never via a float. One context
(50 digits, half-even, traps for invalid operation, division by zero and overflow) is set in every
thread that computes. A number from outside is finite and its exponent lies within +-18, so that
neither "NaN" nor "1E+999999" can enter.
"""

import decimal
from decimal import Decimal
from functools import cache

ZERO = Decimal(0)
ONE = Decimal(1)
HUNDRED = Decimal(100)

EXPONENT_MAX = 18

CONTEXT = decimal.Context(
    prec=50,
    rounding=decimal.ROUND_HALF_EVEN,
    traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow],
)


class NumberError(ValueError):
    """A text from outside that is not a usable number; the message names it."""


def use_exact_arithmetic() -> None:
    """Set gridbot's decimal context in the calling thread."""
    decimal.setcontext(CONTEXT.copy())


def assert_exact_arithmetic() -> None:
    """Refuse to compute in a thread that forgot ``use_exact_arithmetic``."""
    context = decimal.getcontext()
    assert context.prec == CONTEXT.prec, f"decimal precision was {context.prec}"
    assert context.rounding == CONTEXT.rounding, f"decimal rounding was {context.rounding}"


def parse_decimal(text: str | int | Decimal, what: str = "number") -> Decimal:
    """The checked Decimal of ``text``; raises NumberError naming ``what`` and the text."""
    try:
        value = Decimal(text) if not isinstance(text, str) else Decimal(text.strip())
    except (decimal.InvalidOperation, ValueError, TypeError):
        raise NumberError(f"{what}: {text!r} is not a number") from None
    return check_decimal(value, what)


def check_decimal(value: Decimal, what: str = "number") -> Decimal:
    """``value`` itself if it is finite and of sane magnitude; raises NumberError otherwise."""
    if not value.is_finite():
        raise NumberError(f"{what}: {value} is not a finite number")
    if value and abs(value.adjusted()) > EXPONENT_MAX:
        raise NumberError(f"{what}: {value} is outside 1E-18 to 1E+18")
    return value


@cache
def quantum(decimals: int) -> Decimal:
    """The unit of the last place: ``quantum(2)`` is 0.01; zero or less means whole units."""
    return Decimal(1).scaleb(-max(decimals, 0))


def round_half_even(value: Decimal, decimals: int) -> Decimal:
    """``value`` to ``decimals`` places, ties to the even digit."""
    return value.quantize(quantum(decimals), decimal.ROUND_HALF_EVEN)


def round_down(value: Decimal, decimals: int) -> Decimal:
    """``value`` cut towards zero after ``decimals`` places."""
    return value.quantize(quantum(decimals), decimal.ROUND_DOWN)


def floor_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The largest multiple of ``step`` that is not above ``value``."""
    return (value / step).to_integral_value(decimal.ROUND_FLOOR) * step


def ceil_to_step(value: Decimal, step: Decimal) -> Decimal:
    """The smallest multiple of ``step`` that is not below ``value``."""
    return (value / step).to_integral_value(decimal.ROUND_CEILING) * step


def plain(value: Decimal) -> str:
    """Shortest text without an exponent: what people, Kraken and hashes are given."""
    text = f"{value:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in ("-0", "") else text
