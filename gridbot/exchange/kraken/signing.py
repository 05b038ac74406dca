"""Who we are to Kraken: a key, its secret, and the signature of one private call.

Neither part of the pair ever stands in a repr or in an error text.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass


class MalformedCredentials(ValueError):
    """A key or secret that cannot be one; the message says what is wrong, never what it was."""


@dataclass(frozen=True, repr=False)
class Credentials:
    """An API key and its secret (base64); raises MalformedCredentials if one cannot be sent."""

    key: str
    secret: str

    def __post_init__(self) -> None:
        if not (self.key.isascii() and self.key.isprintable() and self.key.strip(" ") == self.key):
            raise MalformedCredentials("the API key has characters or spaces no key has")
        if not self.key or not self.secret:
            raise MalformedCredentials("the API key or the API secret is empty")
        _secret_bytes(self.secret)

    def __repr__(self) -> str:
        return "Credentials(hidden)"


def sign(path: str, nonce: str, body: str, secret: str) -> str:
    """API-Sign of a POST of exactly ``body`` to ``path`` (from /0/private/ on), as Kraken's
    authentication guide defines it: HMAC-SHA512 over path + SHA256(nonce + body), in base64.
    """
    message = path.encode() + hashlib.sha256((nonce + body).encode()).digest()
    digest = hmac.new(_secret_bytes(secret), message, hashlib.sha512).digest()
    return base64.b64encode(digest).decode()


def _secret_bytes(secret: str) -> bytes:
    try:
        return base64.b64decode(secret, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedCredentials("the API secret is not base64 text: copy it again") from None
