"""The admin's pages over the store: staff may look, actions call the verbs with the user as actor."""

import pytest
from django.urls import reverse

from apps.access.models import User
from apps.events.testing import events_written  # noqa: F401
from apps.nodes.models import Node
from apps.store import read
from apps.store.testing import store  # noqa: F401
from apps.workloads.models import Deployment
from apps.workloads.tests.store_helpers import get, post_deployment, post_node, settle

pytestmark = pytest.mark.usefixtures("store", "events_written")
PAGES = [
    "nodes_node",
    "workloads_pod",
    "workloads_replicaset",
    "workloads_deployment",
    "networking_service",
    "networking_endpointslice",
    "scheduling_placement",
    "events_event",
    "events_steptiming",
]


def sign_in(client, **kind):
    user = User.objects.create_user("alice", password="a-long-enough-one", **kind)
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")


@pytest.mark.parametrize("page", PAGES)
def test_staff_may_look_at_every_list(client, page):
    post_node()
    post_deployment(1)
    settle()
    sign_in(client, is_staff=True, is_superuser=True)
    assert client.get(reverse(f"admin:{page}_changelist")).status_code == 200


def test_nobody_else_may(client):
    sign_in(client)
    assert client.get(reverse("admin:nodes_node_changelist")).status_code == 302


def test_a_node_shows_its_pods(client):
    post_node()
    post_deployment(1)
    settle()
    sign_in(client, is_staff=True, is_superuser=True)
    page = client.get(reverse("admin:nodes_node_change", args=[Node.objects.get().pk])).content.decode()
    assert "default/web-" in page
    assert "Running" in page


def act(client, page, action, row):
    return client.post(
        reverse(f"admin:{page}_changelist"), {"action": action, "_selected_action": [row.pk]}, follow=True
    )


def test_cordon_and_uncordon_are_done_in_the_users_name(client):
    post_node()
    sign_in(client, is_staff=True, is_superuser=True)
    act(client, "nodes_node", "cordon", Node.objects.get())
    assert get("Node", "n1", "")["spec"]["unschedulable"] is True
    assert read.history("Node", "", "n1")[-1].actor == "alice"
    act(client, "nodes_node", "uncordon", Node.objects.get())
    assert "unschedulable" not in get("Node", "n1", "")["spec"]


def test_staff_without_the_right_may_not_cordon(client):
    post_node()
    sign_in(client, is_staff=True)
    page = act(client, "nodes_node", "cordon", Node.objects.get()).content.decode()
    assert "may not patch" in page
    assert "unschedulable" not in get("Node", "n1", "")["spec"]


def test_restart_marks_the_template(client):
    post_node()
    post_deployment(1)
    settle()
    sign_in(client, is_staff=True, is_superuser=True)
    act(client, "workloads_deployment", "restart", Deployment.objects.get())
    annotations = get("Deployment", "web")["spec"]["template"]["metadata"]["annotations"]
    assert "kubectl.kubernetes.io/restartedAt" in annotations
