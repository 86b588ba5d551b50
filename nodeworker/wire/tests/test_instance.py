"""Everything global on a machine carries the id of its instance."""

from pathlib import Path

import pytest

from nodeworker.wire.instance import Instance, instance_id, load, save
from nodeworker.wire.messages import node_queue, object_key, split_key


def test_the_id_is_that_of_the_folder_however_it_is_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    assert instance_id(tmp_path) == instance_id(tmp_path / "link")
    assert len(instance_id(tmp_path)) == 6


def test_the_configuration_is_read_back(tmp_path: Path) -> None:
    instance = Instance(id="abc123", node_name="n1", listen="0.0.0.0:80")
    save(tmp_path, instance)
    assert load(tmp_path) == instance


def test_two_instances_share_no_name() -> None:
    one, two = Instance(id="aaaaaa", node_name="n"), Instance(id="bbbbbb", node_name="n")
    for name in ("bridge", "nft_table", "cgroup_parent"):
        assert getattr(one, name) != getattr(two, name)
    assert one.host_interface(255) == "gvaaaaaaff"


def test_an_interface_name_fits_the_kernel() -> None:
    assert len(Instance(id="abcdef", node_name="n").host_interface(0xFFFFFFF)) == 15
    with pytest.raises(ValueError, match="15 characters"):
        Instance(id="abcdef", node_name="n").host_interface(0x10000000)


def test_keys_and_queues() -> None:
    assert (split_key(object_key("shop", "web")), split_key("n1"), node_queue("n1")) == (
        ("shop", "web"),
        ("", "n1"),
        "node.n1",
    )
