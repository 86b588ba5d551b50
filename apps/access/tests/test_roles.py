"""What roles and nodes may do."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.access.authorize import authorize, authorize_async, referenced_names
from apps.access.roles import Asked, Grant, grant_allows, node_allows, role_allows
from apps.access.tests.people import identity_of, in_thread, node, person
from apps.store import transaction
from apps.store.rows import Origin

READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch", "delete", "deletecollection")
ALICE = Origin("alice")


@pytest.mark.parametrize("verb", READ)
@pytest.mark.parametrize("resource", ["pods", "deployments.apps", "configmaps", "nodes", "images", "namespaces"])
def test_viewers_see(verb: str, resource: str) -> None:
    assert role_allows("view", Asked(verb, resource, "shop"))


@pytest.mark.parametrize(
    "asked",
    [
        *(Asked(verb, "pods", "shop") for verb in WRITE),
        Asked("get", "secrets", "shop"),
        Asked("list", "secrets", "shop"),
        Asked("create", "pods", "shop", "p", "exec"),
        Asked("get", "pods", "shop", "p", "exec"),
        Asked("patch", "deployments.apps", "shop", "d", "scale"),
        Asked("get", "users"),
        Asked("create", "images"),
    ],
)
def test_viewers_change_nothing_and_see_no_secret(asked: Asked) -> None:
    assert not role_allows("view", asked)


def test_viewers_read_logs() -> None:
    assert role_allows("view", Asked("get", "pods", "shop", "p", "log"))


@pytest.mark.parametrize(
    "resource", ["pods", "deployments.apps", "services", "configmaps", "secrets", "replicasets.apps"]
)
@pytest.mark.parametrize("verb", [*READ, *WRITE])
def test_editors_do_everything_with_workloads(resource: str, verb: str) -> None:
    assert role_allows("edit", Asked(verb, resource, "shop"))


@pytest.mark.parametrize(
    "asked",
    [
        Asked("create", "namespaces"),
        Asked("patch", "nodes", "", "n1"),
        Asked("delete", "images"),
        Asked("update", "users"),
        Asked("patch", "pods", "shop", "p", "status"),
        Asked("create", "pods", "shop", "p", "binding"),
    ],
)
def test_editors_leave_the_cluster_alone(asked: Asked) -> None:
    assert not role_allows("edit", asked)


@pytest.mark.parametrize(
    "asked",
    [
        Asked("create", "namespaces"),
        Asked("patch", "nodes", "", "n1"),
        Asked("delete", "images"),
        Asked("get", "users"),
    ],
)
def test_admins_run_the_cluster(asked: Asked) -> None:
    assert role_allows("admin", asked)


def test_nobody_of_a_role_writes_a_status() -> None:
    assert not role_allows("admin", Asked("patch", "pods", "shop", "p", "status"))


def test_a_role_in_a_namespace_stays_there() -> None:
    grant = Grant("admin", "shop", user="1")
    assert grant_allows(grant, Asked("delete", "pods", "shop", "p"))
    assert not grant_allows(grant, Asked("get", "pods", "other", "p"))
    assert not grant_allows(grant, Asked("list", "pods"))
    assert not grant_allows(grant, Asked("delete", "namespaces", "", "shop"))
    assert not grant_allows(grant, Asked("patch", "nodes", "", "n1"))
    assert grant_allows(grant, Asked("get", "namespaces", "", "shop"))


asked = st.builds(
    Asked,
    st.sampled_from([*READ, *WRITE]),
    st.sampled_from(["pods", "secrets", "nodes", "namespaces", "images", "users", "deployments.apps", "events"]),
    st.sampled_from(["", "shop"]),
    st.sampled_from(["", "x"]),
    st.sampled_from(["", "status", "log", "exec", "scale", "binding"]),
)


@given(asked)
def test_each_role_may_what_the_smaller_one_may(one: Asked) -> None:
    assert role_allows("edit", one) or not role_allows("view", one)
    assert role_allows("admin", one) or not role_allows("edit", one)


@given(asked)
def test_a_node_never_writes_what_is_not_its_own(one: Asked) -> None:
    if node_allows("n1", one, bound=False, referenced=False) and one.verb in WRITE:
        assert one.plural in ("events", "images") or (one.plural == "nodes" and one.verb == "create")


def test_a_node_has_its_own_node_and_lease() -> None:
    def allowed(*asked: str) -> bool:
        return node_allows("n1", Asked(*asked), bound=False, referenced=False)

    assert allowed("patch", "nodes", "", "n1", "status")
    assert not allowed("patch", "nodes", "", "n2", "status")
    assert not allowed("delete", "nodes", "", "n1")
    assert allowed("update", "leases.coordination.k8s.io", "kube-node-lease", "n1")
    assert not allowed("update", "leases.coordination.k8s.io", "kube-node-lease", "n2")


@pytest.mark.usefixtures("store")
def test_a_node_reads_secrets_of_its_pods_only() -> None:
    spec = {
        "nodeName": "n1",
        "containers": [{"name": "main", "image": "busybox", "envFrom": [{"secretRef": {"name": "mine"}}]}],
        "volumes": [{"name": "v", "configMap": {"name": "settings"}}],
    }
    transaction.create("Pod", {"metadata": {"name": "p", "namespace": "default"}, "spec": spec}, ALICE)
    assert authorize(node("n1"), "get", "secrets", "default", "mine").allowed
    assert authorize(node("n1"), "get", "configmaps", "default", "settings").allowed
    assert not authorize(node("n1"), "get", "secrets", "default", "other").allowed
    assert not authorize(node("n1"), "get", "secrets", "kube-system", "mine").allowed
    assert not authorize(node("n1"), "list", "secrets", "default", "mine").allowed
    assert not authorize(node("n2"), "get", "secrets", "default", "mine").allowed
    assert authorize(node("n1"), "patch", "pods", "default", "p", "status").allowed
    assert not authorize(node("n2"), "patch", "pods", "default", "p", "status").allowed
    assert not authorize(node("n1"), "patch", "pods", "default", "p").allowed


def test_every_way_to_use_a_secret_counts() -> None:
    container = {
        "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "a", "key": "k"}}}, {"name": "B", "value": "1"}]
    }
    spec = {
        "containers": [container],
        "initContainers": [{"envFrom": [{"secretRef": {"name": "b"}}, {"configMapRef": {"name": "no"}}]}],
        "volumes": [
            {"secret": {"secretName": "c"}},
            {"projected": {"sources": [{"secret": {"name": "d"}}, {"configMap": {"name": "no"}}]}},
            {"emptyDir": {}},
        ],
        "imagePullSecrets": [{"name": "e"}],
    }
    assert referenced_names(spec, "secrets") == {"a", "b", "c", "d", "e"}
    assert referenced_names(spec, "configmaps") == {"no"}


@pytest.mark.usefixtures("store")
def test_grants_of_users_and_groups_count() -> None:
    bob = identity_of(person("bob", "edit", "shop"))
    charlie = identity_of(person("charlie"))
    assert authorize(bob, "create", "pods", "shop").allowed
    assert not authorize(bob, "create", "pods", "other").allowed
    assert not authorize(charlie, "list", "pods", "shop").allowed
    assert authorize(charlie, "list", "tokens").allowed


@pytest.mark.usefixtures("store")
def test_a_superuser_may_everything() -> None:
    alice = identity_of(person("alice", is_superuser=True))
    assert authorize(alice, "delete", "nodes", "", "n1").allowed


@pytest.mark.usefixtures("store")
async def test_event_loops_decide() -> None:
    vera = await in_thread(lambda: identity_of(person("vera", "view")))
    assert (await authorize_async(vera, "list", "pods")).allowed
    assert not (await authorize_async(vera, "delete", "pods", "default", "p")).allowed
    assert authorize(vera, "list", "pods").allowed
    assert not authorize(node("n1"), "get", "pods", "default", "p").allowed
