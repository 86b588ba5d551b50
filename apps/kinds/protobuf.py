"""A writer for protobuf's wire format: just what the OpenAPI document needs.

Called by apps.kinds.gnostic. Reading is not needed: no client sends us protobuf.
"""


def varint(number: int) -> bytes:
    """Write an unsigned number, seven bits a byte, the lowest first."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def chunk(number: int, payload: bytes) -> bytes:
    """Write field `number` with bytes: a string or a message."""
    return varint(number << 3 | 2) + varint(len(payload)) + payload


def text(number: int, value: str) -> bytes:
    """Write a string field; the empty string is absent."""
    return chunk(number, value.encode()) if value else b""


def flag(number: int, value: bool) -> bytes:
    """Write a boolean field; false is absent."""
    return varint(number << 3) + b"\x01" if value else b""
