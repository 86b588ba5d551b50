"""Volumes as files: content, modes, replacement at one stroke, and no way out."""

import base64
import os
from pathlib import Path

import pytest

from nodeworker.agent.logic.environment import ConfigurationError, Surroundings
from nodeworker.volumes.payload import config_map_source, safe_path, secret_source, volume_files
from nodeworker.volumes.pod_volumes import PodVolumes, VolumeError
from nodeworker.volumes.writing import write_files

POD = {"metadata": {"name": "web", "namespace": "shop", "uid": "u1", "labels": {"app": "web"}}, "spec": {}}
SOURCES = {
    ("ConfigMap", "settings"): config_map_source({"data": {"a": "1", "b": "2"}}),
    ("Secret", "keys"): secret_source({"data": {"token": base64.b64encode(b"\x00x").decode()}}),
    ("ConfigMap", "absent"): None,
}


def files(volume):
    return volume_files(POD, volume, SOURCES, Surroundings(node_name="n1"))


def test_a_config_map_is_shown_whole():
    assert files({"configMap": {"name": "settings"}}) == {"a": (b"1", 0o644), "b": (b"2", 0o644)}


def test_items_choose_keys_paths_and_modes():
    items = [{"key": "a", "path": "sub/first", "mode": 0o400}]
    assert files({"configMap": {"name": "settings", "items": items}}) == {"sub/first": (b"1", 0o400)}


def test_a_secret_is_decoded():
    assert files({"secret": {"secretName": "keys", "defaultMode": 0o400}}) == {"token": (b"\x00x", 0o400)}


def test_what_is_absent_is_an_error_unless_optional():
    with pytest.raises(ConfigurationError, match='configmap "absent" not found'):
        files({"configMap": {"name": "absent"}})
    assert files({"configMap": {"name": "absent", "optional": True}}) == {}


def test_projected_sources_are_laid_over_each_other():
    label = {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}}
    sources = [{"configMap": {"name": "settings"}}, {"downwardAPI": {"items": [label]}}]
    shown = files({"projected": {"sources": sources}})
    assert set(shown) == {"a", "b", "labels"}
    assert shown["labels"][0] == b'app="web"'


@pytest.mark.parametrize("path", ["../x", "/x", "a/../../x", "", "..data"])
def test_paths_that_lead_out_are_refused(path):
    with pytest.raises(ConfigurationError):
        safe_path(path)


def test_files_are_replaced_at_one_stroke(tmp_path: Path):
    assert write_files(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    before = (tmp_path / "..data").readlink()
    assert not write_files(tmp_path, {"a": (b"1", 0o644), "d/b": (b"2", 0o600)})
    assert write_files(tmp_path, {"a": (b"3", 0o644)})
    assert (tmp_path / "a").read_bytes() == b"3"
    assert not (tmp_path / "d").exists()
    assert (tmp_path / "..data").readlink() != before
    assert len([path for path in tmp_path.iterdir() if not path.is_symlink()]) == 1


def test_kinds_that_are_not_there_yet_are_refused_with_a_sentence(tmp_path: Path):
    pod = {**POD, "spec": {"volumes": [{"name": "data", "hostPath": {"path": "/"}}]}}
    with pytest.raises(VolumeError, match=r'volume "data" : volumes of kind hostPath are not supported yet'):
        PodVolumes(tmp_path).prepare(pod, {}, Surroundings())


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_sub_path_cannot_follow_a_link_out_of_its_volume(tmp_path: Path):
    volumes = PodVolumes(tmp_path)
    pod = {**POD, "spec": {"volumes": [{"name": "data", "emptyDir": {}}]}}
    volumes.prepare(pod, {}, Surroundings())
    (volumes.directory("u1", "data") / "out").symlink_to("/etc")
    with pytest.raises(OSError):  # inside the volume the link points nowhere
        volumes.mount_source("u1", "main", 0, {"name": "data"}, "out")
    (volumes.directory("u1", "data") / "in").mkdir()
    (volumes.directory("u1", "data") / "in" / "file").touch()
    shown = volumes.mount_source("u1", "main", 0, {"name": "data"}, "in")
    assert (shown / "file").exists()
    volumes.remove("u1")
    assert not (tmp_path / "volumes" / "u1").exists()
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()


@pytest.mark.root
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_memory_is_a_tmpfs_with_its_limit(tmp_path: Path):
    volumes = PodVolumes(tmp_path)
    volume = {"name": "fast", "emptyDir": {"medium": "Memory", "sizeLimit": "1Mi"}}
    volumes.prepare({**POD, "spec": {"volumes": [volume]}}, {}, Surroundings())
    directory = volumes.directory("u1", "fast")
    try:
        assert os.statvfs(directory).f_blocks * os.statvfs(directory).f_frsize == 1 << 20
    finally:
        volumes.remove("u1")
    assert not os.path.ismount(directory)
