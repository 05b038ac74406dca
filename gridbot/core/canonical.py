"""One text per value: what is hashed, compared and written where every byte must be repeatable.

Keys are sorted as text, Decimals stand in plain notation without trailing zeros (1.50 and 1.5 are
the same amount), floats as ``repr`` writes them, everything in ASCII without spaces. NaN and
infinity are refused: "never" is ``None``. Decoding the text and encoding it again gives the same
bytes, so a checksum can be taken before writing and after reading.
"""

import hashlib
import json
from decimal import Decimal
from typing import Any

import msgspec

from gridbot.core.numbers import plain


def canonical_json(value: Any) -> bytes:
    """The canonical JSON of Structs, dicts, sequences and scalars. Raises TypeError for what has no
    JSON form and ValueError for NaN and infinity."""
    # str_keys before sorting: as text "10" < "2", and text is what a reader gets back
    tree = msgspec.to_builtins(value, builtin_types=(Decimal,), str_keys=True)
    text = json.dumps(
        tree, sort_keys=True, separators=(",", ":"), allow_nan=False, default=_decimal_text
    )
    return text.encode("ascii")


def sha256_of(value: Any) -> str:
    """The sha256 of the canonical JSON, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def _decimal_text(value: Any) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no canonical text")
    if not value.is_finite():
        raise ValueError(f"{value} has no canonical text")
    return plain(value)
