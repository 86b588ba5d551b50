"""Nodes in the admin: state, capacity and their pods; actions cordon and uncordon."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.access.read_only_admin import ReadOnlyAdmin, bytes_text, cpu_text, verb_action
from apps.nodes.controllers import cordon, uncordon
from apps.nodes.models import Node
from apps.store import read
from nodeworker.wire.podstatus import status_word


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """The machines of the cluster."""

    list_display = ("name", "shown_state", "unschedulable", "address", "cpu", "memory", "capacity_pods", "version")
    list_filter = ("ready", "unschedulable")
    search_fields = ("name", "address")
    actions = (
        verb_action(lambda node, origin: cordon(node.name, origin), "cordon", _("Cordon: let no new pod in"), "nodes"),
        verb_action(lambda node, origin: uncordon(node.name, origin), "uncordon", _("Uncordon: let pods in"), "nodes"),
    )

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*super().get_readonly_fields(request, obj), "pods"]

    def get_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return self.get_readonly_fields(request, obj)

    @display(description=_("State"), label={"Ready": "success", "NotReady": "danger"}, ordering="state")  # type: ignore[untyped-decorator]
    def shown_state(self, node: Node) -> str:
        return node.state

    @display(description=_("CPU"), ordering="capacity_cpu_millis")  # type: ignore[untyped-decorator]
    def cpu(self, node: Node) -> str:
        return cpu_text(node.capacity_cpu_millis)

    @display(description=_("Memory"), ordering="capacity_memory_bytes")  # type: ignore[untyped-decorator]
    def memory(self, node: Node) -> str:
        return bytes_text(node.capacity_memory_bytes)

    @display(description=_("Pods"))  # type: ignore[untyped-decorator]
    def pods(self, node: Node) -> SafeString | str:
        bound, _counter = read.bound(node.name)
        rows = [
            (
                reverse("admin:workloads_pod_change", args=[pod.uid]),
                f"{pod.namespace}/{pod.name}",
                status_word(pod.object),
            )
            for pod in bound
        ]
        if not rows:
            return str(_("none"))
        return format_html("<ul>{}</ul>", format_html_join("", '<li><a href="{}">{}</a> {}</li>', rows))
