"""The typed rows of ConfigMaps: in step with their objects, and rebuilt by the command."""

from datetime import UTC, datetime
from io import StringIO

import pytest
from django.core.management import call_command

from apps.configs.models import ConfigMap
from apps.store import read, transaction
from apps.store.guard import writing
from apps.store.tests.shapes import ALICE, config_map

pytestmark = pytest.mark.usefixtures("store")
NOW = datetime.now(UTC)


def test_projections_follow_their_object() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    assert ConfigMap.objects.get().keys == "key"
    transaction.modify("ConfigMap", "default", "a", lambda it: {**it, "data": {"x": "1", "y": "2"}}, ALICE)
    row = ConfigMap.objects.get()
    assert (row.keys, row.size, row.revision) == ("x\ny", 4, read.current_revision())
    transaction.delete("ConfigMap", "default", "a", ALICE)
    assert not ConfigMap.objects.exists()


def test_projections_can_be_rebuilt() -> None:
    transaction.create("ConfigMap", config_map("a"), ALICE)
    with writing():
        ConfigMap.objects.update(keys="wrong")
        ConfigMap.objects.create(uid="x", name="ghost", revision=1, created=NOW)
    output = StringIO()
    call_command("rebuild_projections", stdout=output)
    assert list(ConfigMap.objects.values_list("name", "keys")) == [("a", "key")]
    assert "ConfigMap: 1 rows" in output.getvalue()
