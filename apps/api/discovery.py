"""What this API serves: /version, /api, /apis, their groups and resource lists. Built once from the table of kinds."""

import platform
from collections.abc import Iterable
from functools import cache
from typing import Any

from apps.kinds.kind import Kind
from apps.kinds.registry import KINDS

# The protocol's level; clients compare it with their own (kubectl warns beyond one minor version of difference).
MAJOR, MINOR, PATCH = "1", "32", "0"

_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_REVIEWS = (
    ("SelfSubjectAccessReview", "selfsubjectaccessreviews"),
    ("SelfSubjectRulesReview", "selfsubjectrulesreviews"),
)
_SUBRESOURCES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    # name: (group, version, kind, verbs); "" for the parent's own
    "status": ("", "", "", ("get", "patch", "update")),
    "scale": ("autoscaling", "v1", "Scale", ("get", "patch", "update")),
    "log": ("", "", "", ("get",)),
    "exec": ("", "", "PodExecOptions", ("create", "get")),
    "binding": ("", "", "Binding", ("create",)),
    "eviction": ("policy", "v1", "Eviction", ("create",)),
    "finalize": ("", "", "", ("update",)),
}


@cache
def version() -> dict[str, str]:
    """Return /version."""
    return {
        "major": MAJOR,
        "minor": MINOR,
        "gitVersion": f"v{MAJOR}.{MINOR}.{PATCH}+gantry",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": platform.python_implementation(),
        "platform": f"linux/{ {'x86_64': 'amd64', 'aarch64': 'arm64'}.get(platform.machine(), platform.machine()) }",
    }


@cache
def groups() -> dict[str, tuple[str, ...]]:
    """Return every named group and its versions, the preferred one first."""
    found: dict[str, list[str]] = {"authorization.k8s.io": ["v1"]}
    for kind in KINDS:
        if kind.group and kind.version not in found.setdefault(kind.group, []):
            found[kind.group].append(kind.version)
    return {group: tuple(versions) for group, versions in sorted(found.items())}


def api_versions() -> dict[str, Any]:
    """Return /api."""
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def api_group_list() -> dict[str, Any]:
    """Return /apis."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in groups()]}


def api_group(name: str) -> dict[str, Any] | None:
    """Return /apis/<group>."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)} if name in groups() else None


def _group(name: str) -> dict[str, Any]:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in groups()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


@cache
def resource_list(group: str, version: str) -> dict[str, Any] | None:
    """Return /api/v1 or /apis/<group>/<version>."""
    resources = [entry for kind in KINDS if (kind.group, kind.version) == (group, version) for entry in _entries(kind)]
    if (group, version) == ("authorization.k8s.io", "v1"):
        resources = [
            {"name": plural, "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
            for kind, plural in _REVIEWS
        ]
    if not resources:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": sorted(resources, key=lambda entry: str(entry["name"])),
    }


def _entries(kind: Kind) -> Iterable[dict[str, Any]]:
    entry: dict[str, Any] = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(_VERBS),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield entry
    for subresource in sorted(kind.subresources & _SUBRESOURCES.keys()):
        group, version, kind_name, verbs = _SUBRESOURCES[subresource]
        child: dict[str, Any] = {
            "name": f"{kind.plural}/{subresource}",
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind_name or kind.kind,
            "verbs": list(verbs),
        }
        if group:
            child |= {"group": group, "version": version}
        yield child
