"""Secrets at rest: what the database holds, what comes back, what a wrong key or moved bytes give."""

import base64
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from apps.configs.encryption import Cipher, DecryptionError, load_key
from apps.configs.models import Secret
from apps.store import read, transaction
from apps.store.rows import Origin

TEXT = "correct-horse-battery-staple"
ENCODED = base64.b64encode(TEXT.encode()).decode()
ALICE = Origin("alice")


def a_secret(name: str = "s") -> dict[str, object]:
    applied = '{"data":{"password":"' + ENCODED + '"}}'
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": applied}
    return {
        "metadata": {"name": name, "namespace": "default", "annotations": annotations},
        "data": {"password": ENCODED},
    }


@pytest.mark.usefixtures("store")
def test_a_secret_reads_back_and_every_change_of_it() -> None:
    stored = transaction.create("Secret", a_secret(), ALICE)
    assert stored.object["data"] == {"password": ENCODED}
    found = read.get("Secret", "default", "s")
    assert found is not None
    assert found.body == stored.body == read.history("Secret", "default", "s")[0].body


@pytest.mark.usefixtures("store")
def test_neither_rows_nor_log_hold_the_text() -> None:
    transaction.create("Secret", a_secret(), ALICE)
    transaction.modify("Secret", "default", "s", lambda it: {**it, "data": {"other": ENCODED}}, ALICE)
    transaction.delete("Secret", "default", "s", ALICE)
    transaction.create("Secret", a_secret("t"), ALICE)
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            for row in cursor.fetchall():
                assert not any(_holds_secret(value) for value in row), table


def _holds_secret(value: object) -> bool:
    data = bytes(value) if isinstance(value, (bytes, memoryview)) else str(value).encode()
    return TEXT.encode() in data or ENCODED.encode() in data


@pytest.mark.usefixtures("store")
@pytest.mark.skipif("connection.vendor != 'sqlite'", reason="the database is no file here")
def test_the_database_file_does_not_hold_the_text() -> None:
    transaction.create("Secret", a_secret(), ALICE)
    name = Path(str(connection.settings_dict["NAME"]))
    for path in name.parent.glob(f"{name.name}*"):
        content = path.read_bytes()
        assert TEXT.encode() not in content
        assert ENCODED.encode() not in content


@pytest.mark.usefixtures("store")
def test_the_typed_row_knows_keys_and_no_values() -> None:
    transaction.create("Secret", a_secret(), ALICE)
    row = Secret.objects.get()
    assert (row.keys, row.type, row.name) == ("password", "Opaque", "s")


def test_bytes_moved_to_another_object_are_refused() -> None:
    cipher = Cipher(b"k" * 32)
    with pytest.raises(DecryptionError, match="were changed"):
        cipher.decrypt(cipher.encrypt(b"{}", "uid-1"), "uid-2")


def test_another_key_is_named_as_the_cause() -> None:
    with pytest.raises(DecryptionError, match="another key"):
        Cipher(b"k" * 32).decrypt(Cipher(b"l" * 32).encrypt(b"{}", "uid"), "uid")


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secrets" / "encryption.key"
    assert load_key(path) == load_key(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["encryption.key"]


def test_a_key_file_with_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "encryption.key"
    path.write_text("secret")
    with pytest.raises(DecryptionError, match="64 hexadecimal digits"):
        load_key(path)


def test_the_tests_have_a_home_of_their_own() -> None:
    assert str(settings.GANTRY_HOME) != "/var/lib/gantry"
