"""Buttons that write: what each calls, what it asks first, and why it is disabled for someone. Templates draw them."""

import json
from dataclasses import dataclass, replace
from typing import Any

from django.utils.translation import gettext as _

from apps.console.viewer import Viewer

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


@dataclass(frozen=True)
class Action:
    """One button. `reason` set means that it is shown disabled."""

    label: str
    method: str
    url: str
    body: str = ""
    type: str = "application/json"
    icon: str = ""
    done: str = ""
    next: str = ""
    confirm: str = ""
    confirm_text: str = ""
    confirm_name: str = ""
    danger: bool = False
    reason: str = ""

    def unless(self, reason: str) -> "Action":
        """The same, disabled when there is a reason."""
        return replace(self, reason=reason) if reason else self


def api_path(api_version: str, plural: str, namespace: str, name: str = "", subresource: str = "") -> str:
    """The address of an object in the Kubernetes API."""
    root = f"/api/{api_version}" if "/" not in api_version else f"/apis/{api_version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return "/".join(part for part in (f"{root}{place}/{plural}", name, subresource) if part)


def patch(label: str, url: str, body: Any, *, content_type: str = MERGE, icon: str = "", done: str = "") -> Action:
    """A button that changes a few fields."""
    return Action(label, "PATCH", url, json.dumps(body, separators=(",", ":")), content_type, icon, done)


def delete(
    viewer: Viewer, what: str, url: str, resource: str, namespace: str, name: str, next_page: str, text: str
) -> Action:
    """The delete button of an object's page."""
    return Action(
        label=_("Delete"),
        method="DELETE",
        url=url,
        icon="trash-2",
        next=next_page,
        confirm=_("Delete the %(what)s %(name)s?") % {"what": what, "name": name},
        confirm_text=text,
        danger=True,
    ).unless("" if viewer.may("delete", resource, namespace, name) else not_allowed())


def not_allowed() -> str:
    """Why a button is disabled for who may only look."""
    return _("Your role may look at this, not change it.")
