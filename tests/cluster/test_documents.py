"""docs/api.md deploys and scales with two curl lines: taken out of the document and run as they stand."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.cluster_under_test import Cluster, eventually, is_ready

pytestmark = [pytest.mark.root, pytest.mark.cluster]

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def curl_lines() -> list[str]:
    section = DOCUMENT.read_text().split("## Two lines", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^curl .*$", section, re.MULTILINE)


def test_the_two_curl_lines_deploy_and_scale(cluster: Cluster) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    lines = curl_lines()
    assert len(lines) == 2
    variables = {"CA": str(cluster.home / "pki" / "ca.crt"), "API": cluster.api, "TOKEN": cluster.token}
    environment = {**os.environ, **variables, "no_proxy": "*"}
    try:
        for line in lines:
            done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stdout + done.stderr
        assert eventually(lambda: sum(map(is_ready, cluster.pods("app=hello"))) == 3, "three ready pods", 30)
        assert cluster.get("service", "hello")["spec"]["type"] == "NodePort"
    finally:
        cluster.kubectl("delete", "deployment,service", "hello", "--wait=false", check=False)
