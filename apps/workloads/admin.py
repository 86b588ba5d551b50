"""Workloads in the admin: pods, replica sets and deployments to look at; actions call the verbs."""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from apps.access.read_only_admin import ReadOnlyAdmin, verb_action
from apps.workloads import verbs
from apps.workloads.models import Deployment, Pod, ReplicaSet


@admin.register(Deployment)
class DeploymentAdmin(ReadOnlyAdmin):
    """Deployments with the state of their rollout."""

    list_display = ("name", "namespace", "ready_of_desired", "updated", "available", "image", "progress", "paused")
    list_filter = ("namespace", "settled", "paused", "progress")
    search_fields = ("name", "namespace", "image")
    actions = (
        verb_action(
            lambda row, origin: verbs.restart(row.namespace, row.name, origin),
            "restart",
            _("Restart: replace the pods one after the other"),
            "deployments.apps",
        ),
        verb_action(
            lambda row, origin: verbs.roll_back(row.namespace, row.name, origin),
            "roll_back",
            _("Roll back to the revision before"),
            "deployments.apps",
        ),
    )

    @display(description=_("Ready"), ordering="ready")  # type: ignore[untyped-decorator]
    def ready_of_desired(self, row: Deployment) -> str:
        return f"{row.ready}/{row.desired}"


@admin.register(ReplicaSet)
class ReplicaSetAdmin(ReadOnlyAdmin):
    """Replica sets with the revision of their deployment that they are."""

    list_display = ("name", "namespace", "owner_name", "rollout", "desired", "current", "ready", "image")
    list_filter = ("namespace", "settled")
    search_fields = ("name", "namespace", "owner_name", "image")


@admin.register(Pod)
class PodAdmin(ReadOnlyAdmin):
    """Pods with the state that kubectl shows."""

    list_display = ("name", "namespace", "ready_of_all", "shown_status", "restarts", "node_name", "pod_ip", "image")
    list_filter = ("namespace", "phase", "node_name", "ready")
    search_fields = ("name", "namespace", "owner_name", "pod_ip", "image")
    actions = (
        verb_action(
            lambda row, origin: verbs.delete("Pod", row.namespace, row.name, origin),
            "delete_pod",
            _("Delete: a controller makes another"),
            "pods",
            "delete",
        ),
    )

    @display(description=_("Ready"), ordering="ready_containers")  # type: ignore[untyped-decorator]
    def ready_of_all(self, row: Pod) -> str:
        return f"{row.ready_containers}/{row.containers}"

    @display(  # type: ignore[untyped-decorator]
        description=_("Status"),
        label={"Running": "success", "Completed": "info", "Pending": "warning", "Terminating": "warning"},
        ordering="status",
    )
    def shown_status(self, row: Pod) -> str:
        return row.status
