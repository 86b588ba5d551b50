"""The volumes of one pod on this node: made before its sandbox, kept up to date, removed with it.

Layout: HOME/node/volumes/<pod uid>/volumes/<name>, and .../subpaths/<container>-<n> for what a `subPath` shows. Called
by agent/applying.py and agent/building.py.
"""

import contextlib
import os
import shutil
import stat
import threading
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nodeworker.agent.logic.environment import ConfigurationError, Surroundings
from nodeworker.kernel.mounts import MNT_DETACH, MS_BIND, MS_NODEV, MS_NOSUID, mount, umount2
from nodeworker.kernel.paths import make_directory_in_root, open_in_root
from nodeworker.volumes.payload import Source, volume_files
from nodeworker.volumes.writing import write_files
from nodeworker.wire.quantity import memory_bytes

Object = Mapping[str, Any]
Sources = Mapping[tuple[str, str], Source | None]


class VolumeError(Exception):
    """A volume cannot be made; the sentence names it."""


class PodVolumes:
    """All volumes of all pods of this node, below one directory."""

    def __init__(self, home: Path) -> None:
        self.home = home / "volumes"
        self.home.mkdir(parents=True, exist_ok=True)

    def directory(self, uid: str, volume: str) -> Path:
        return self.home / uid / "volumes" / volume

    def prepare(self, pod: Object, sources: Sources, surroundings: Surroundings) -> None:
        """Make the pod's volumes or bring them up to date. Raises VolumeError."""
        for volume in pod["spec"].get("volumes") or ():
            try:
                self._prepare_one(pod, volume, sources, surroundings)
            except ConfigurationError as problem:
                raise VolumeError(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {problem}') from problem
            except OSError as problem:
                raise VolumeError(
                    f'MountVolume.SetUp failed for volume "{volume["name"]}" : {problem.strerror}'
                ) from problem

    def _prepare_one(self, pod: Object, volume: Object, sources: Sources, surroundings: Surroundings) -> None:
        directory = self.directory(pod["metadata"]["uid"], str(volume["name"]))
        files = volume_files(pod, volume, sources, surroundings)
        group = (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if files is not None:
            directory.mkdir(parents=True, exist_ok=True)
            write_files(directory, files, group)
        elif "emptyDir" in volume:
            self._empty_directory(directory, volume["emptyDir"] or {}, group)
        else:
            kinds = ", ".join(key for key in volume if key != "name") or "nothing"
            raise ConfigurationError(
                f"volumes of kind {kinds} are not supported yet: "
                "use emptyDir, configMap, secret, projected or downwardAPI"
            )

    def _empty_directory(self, directory: Path, asked: Object, group: int | None) -> None:
        if directory.exists():
            if asked.get("medium") != "Memory" or os.path.ismount(directory):
                return
        else:
            directory.mkdir(parents=True)
        if asked.get("medium") == "Memory":
            limit = asked.get("sizeLimit")
            size = f",size={memory_bytes(str(limit))}" if limit else ""
            mount("tmpfs", str(directory), "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0777{size}")
        # Every container of the pod may write, whatever its user; with fsGroup new files belong to that group.
        directory.chmod(0o777 if group is None else 0o2777)
        if group is not None:
            os.chown(directory, -1, group)

    def mount_source(self, uid: str, container: str, index: int, entry: Object, sub_path: str) -> Path:
        """What a volumeMount shows: the volume, or a path inside it that no link can lead out of."""
        volume = self.directory(uid, str(entry["name"]))
        if not sub_path:
            return volume
        root = os.open(volume, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._bind_inside(root, sub_path, self.home / uid / "subpaths" / f"{container}-{index}")
        finally:
            os.close(root)

    def _bind_inside(self, root: int, sub_path: str, target: Path) -> Path:
        if ".." in sub_path.split("/") or sub_path.startswith("/"):
            raise ConfigurationError(f'subPath {sub_path!r} must be relative and without ".."')
        try:
            found = open_in_root(root, sub_path)
        except FileNotFoundError:
            found = make_directory_in_root(root, sub_path, 0o777)
        try:
            _unmount(target)
            target.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(os.fstat(found).st_mode):
                target.mkdir(exist_ok=True)
            else:
                target.touch()
            # Bound by descriptor: the container may exchange the path for a link at any time.
            mount(f"/proc/self/fd/{found}", str(target), "", MS_BIND)
        finally:
            os.close(found)
        return target

    def remove(self, uid: str) -> None:
        """Remove everything of a pod; renamed at once, deleted in the background."""
        own = self.home / uid
        if not own.exists():
            return
        for path in (*(own / "subpaths").glob("*"), *(own / "volumes").glob("*")):
            _unmount(path)
        trash = self.home / f".removed-{uuid.uuid4().hex}"
        with contextlib.suppress(FileNotFoundError):
            own.rename(trash)
            threading.Thread(target=shutil.rmtree, args=(trash,), kwargs={"ignore_errors": True}, daemon=True).start()

    def present(self) -> set[str]:
        """The pods that have volumes here."""
        return {path.name for path in self.home.iterdir() if not path.name.startswith(".")}


def _unmount(path: Path) -> None:
    """Unmount whatever is mounted there. (A bind within one file system does not look like a mount: just try.)"""
    with contextlib.suppress(OSError):  # EINVAL: nothing is mounted there; ENOENT: it is not there
        while True:
            umount2(str(path), MNT_DETACH)
