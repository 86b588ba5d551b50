"""How the bodies of some kinds are turned into what is stored, and back: Secrets are encrypted.

`apps.configs` registers its codec at start; `transaction` encodes before a body enters row or log, `rows` decodes.
"""

from collections.abc import Callable

Encode = Callable[[bytes, str], bytes]
_encoders: dict[str, Encode] = {}
_decoders: dict[str, Encode] = {}


def register(kind: str, encode: Encode, decode: Encode) -> None:
    """Store bodies of `kind` as `encode(body, uid)`; the uid binds the stored bytes to their object."""
    _encoders[kind] = encode
    _decoders[kind] = decode


def to_stored(kind: str, body: bytes, uid: str) -> bytes:
    """Return the bytes that go into the row."""
    encode = _encoders.get(kind)
    return encode(body, uid) if encode else body


def from_stored(kind: str, raw: bytes, uid: str) -> bytes:
    """Return the JSON of what a row holds."""
    decode = _decoders.get(kind)
    return decode(raw, uid) if decode else raw
