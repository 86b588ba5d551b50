"""Cells that several kinds' tables share. Called by the columns of the kinds."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from apps.kinds.kind import Column, Object
from nodeworker.wire.podstatus import age
from nodeworker.wire.selectors import selector_from_object


def name(obj: Object, _now: datetime) -> str:
    return str(obj["metadata"].get("name", ""))


def age_cell(obj: Object, now: datetime) -> str:
    return age(obj["metadata"].get("creationTimestamp"), now)


NAME = Column("Name", name, format="name", description="Name must be unique within a namespace.")
AGE = Column("Age", age_cell, description="The time since the object was created.")


def containers(obj: Object, _now: datetime) -> str:
    return ",".join(container["name"] for container in _template_containers(obj))


def images(obj: Object, _now: datetime) -> str:
    return ",".join(container.get("image", "") for container in _template_containers(obj))


def selector(obj: Object, _now: datetime) -> str:
    return str(selector_from_object(obj["spec"].get("selector")))


def labels_text(labels: Mapping[str, str] | None) -> str:
    """Write a plain map as a selector: a=b,c=d."""
    if not labels:
        return "<none>"
    return ",".join(f"{key}={value}" for key, value in sorted(labels.items()))


WORKLOAD_WIDE = (
    Column("Containers", containers, priority=1, description="Names of each container in the template."),
    Column("Images", images, priority=1, description="Images referenced by each container in the template."),
    Column("Selector", selector, priority=1, description="Label selector that matches the pods."),
)


def _template_containers(obj: Object) -> list[dict[str, Any]]:
    return obj["spec"].get("template", {}).get("spec", {}).get("containers") or []
