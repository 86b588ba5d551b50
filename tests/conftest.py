"""Fixtures of the tests that need a whole instance or a browser."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster_under_test import Cluster

CHROMIUM = Path("/usr/bin/chromium")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """An instance with the test images imported; shared by all tests, which use namespaces of their own."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts containers")
    running = Cluster(tmp_path_factory.mktemp("gantry"))
    try:
        running.up()
        yield running
    finally:
        _keep_logs(running.home)
        running.gantry("purge", "--yes", check=False)


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Cluster:
    """The shared instance with nginx:1.7.9, nginx:latest and debian:latest imported."""
    from tests.images.make_images import make_images

    for archive in make_images():
        cluster.gantry("image", "import", str(archive))
    return cluster


def _keep_logs(home: Path) -> None:
    """Copy the processes' logs to GANTRY_TEST_LOGS when it is set, for a look after a failure."""
    target = os.environ.get("GANTRY_TEST_LOGS")
    if target and (home / "log").exists():
        shutil.copytree(home / "log", Path(target) / home.name, dirs_exist_ok=True)
