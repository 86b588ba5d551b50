"""Secrets are encrypted before they enter a row or the log: AES-256-GCM with the key HOME/secrets/encryption.key.

What is stored is: format byte, key id (4 bytes), nonce (12), ciphertext with tag. The object's uid is authenticated
with it, so that nobody with access to the database can move a Secret's bytes into another object. `apps.py`
registers this with `apps.store.codecs`.
"""

import hashlib
import os
import secrets
from functools import lru_cache
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from django.conf import settings

from apps.store.errors import StoreError

_FORMAT = b"\x01"
_NONCE = 12


class DecryptionError(StoreError):
    """A stored Secret cannot be read with the key at hand."""


class Cipher:
    """One key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)
        self.id = hashlib.sha256(b"gantry key id" + key).digest()[:4]

    def encrypt(self, body: bytes, uid: str) -> bytes:
        nonce = os.urandom(_NONCE)
        return _FORMAT + self.id + nonce + self._cipher.encrypt(nonce, body, uid.encode())

    def decrypt(self, raw: bytes, uid: str) -> bytes:
        if raw[:1] != _FORMAT:
            raise DecryptionError(f"the Secret {uid} is stored in an unknown format")
        if raw[1:5] != self.id:
            raise DecryptionError(
                f"the Secret {uid} was encrypted with another key than {key_path()}; restore that file"
            )
        try:
            return self._cipher.decrypt(raw[5 : 5 + _NONCE], raw[5 + _NONCE :], uid.encode())
        except InvalidTag:
            raise DecryptionError(f"the stored bytes of the Secret {uid} were changed") from None


def encrypt(body: bytes, uid: str) -> bytes:
    """Return what is stored for a Secret's JSON."""
    return _cipher(str(key_path())).encrypt(body, uid)


def decrypt(raw: bytes, uid: str) -> bytes:
    """Return a Secret's JSON."""
    return _cipher(str(key_path())).decrypt(raw, uid)


def key_path() -> Path:
    """Where the key is."""
    return Path(settings.GANTRY_HOME) / "secrets" / "encryption.key"


@lru_cache(maxsize=4)
def _cipher(path: str) -> Cipher:
    return Cipher(load_key(Path(path)))


def load_key(path: Path) -> bytes:
    """Read the key (64 hexadecimal digits); make it when there is none yet. Of two processes at once one makes it."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_new(path, secrets.token_bytes(32).hex())
    text = path.read_text(errors="replace").strip()
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != 32:
        raise DecryptionError(f"{path} must hold 64 hexadecimal digits")
    return key


def _write_new(path: Path, text: str) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(temporary, path)  # fails when somebody was faster: theirs counts
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
