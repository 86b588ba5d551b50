"""Objects that the tests of this package start from, and short ways to admit them."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from apps.kinds.admission import Admitted, admit_create, admit_update
from apps.kinds.registry import by_kind
from apps.kinds.status import Invalid

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
MANIFESTS = Path(__file__).parent / "manifests"
CONTAINER = {"name": "c", "image": "nginx:1.25"}


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [dict(CONTAINER)], **spec},
    }


def with_container(**fields: Any) -> dict[str, Any]:
    return pod(containers=[{**CONTAINER, **fields}])


def deployment(**spec: Any) -> dict[str, Any]:
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [dict(CONTAINER)]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "x"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def service(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "x"}, "spec": {"ports": [{"port": 80}], **spec}}


def admit(obj: dict[str, Any], namespace: str = "default") -> Admitted:
    return admit_create(by_kind(obj["kind"]), obj, namespace=namespace, now=NOW, new_uid="uid-1", new_suffix="x7k2p")


def created(obj: dict[str, Any]) -> dict[str, Any]:
    return admit(obj).object


def updated(new: dict[str, Any], old: dict[str, Any], subresource: str | None = None) -> dict[str, Any]:
    return admit_update(by_kind(old["kind"]), new, old, subresource=subresource, now=NOW).object


def problems(obj: dict[str, Any]) -> list[str]:
    """Return the sentences with which `obj` is refused."""
    try:
        admit(obj)
    except Invalid as error:
        return [str(problem) for problem in error.problems]
    return []


def update_problems(new: dict[str, Any], old: dict[str, Any]) -> list[str]:
    """Return the sentences with which the update is refused."""
    try:
        updated(new, old)
    except Invalid as error:
        return [str(problem) for problem in error.problems]
    return []


def manifest_objects() -> list[dict[str, Any]]:
    """Return every object of the example manifests."""
    return [obj for path in sorted(MANIFESTS.glob("*.yaml")) for obj in yaml.safe_load_all(path.read_text())]
