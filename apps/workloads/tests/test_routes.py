"""Which change wakes which keys, and how keys get to work."""

import threading
from dataclasses import dataclass, field

import pytest

from apps.workloads.keys import Key, OneAtATime, parse
from apps.workloads.loop import Dispatcher
from apps.workloads.routes import keys_of


@dataclass
class Seen:
    verb: str = "MODIFIED"
    namespace: str = "shop"
    name: str = "a"
    uid: str = "u"
    actor: str = "alice"
    labels: dict[str, str] = field(default_factory=dict)
    previous_labels: dict[str, str] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)
    previous_fields: dict[str, str] = field(default_factory=dict)
    owner: tuple[str, ...] = ()

    @property
    def object(self):
        owners = [{"kind": self.owner[0], "name": self.owner[1], "controller": True}] if self.owner else []
        return {"metadata": {"name": self.name, "ownerReferences": owners}}


@dataclass
class Around:
    selectors: tuple[tuple[str, str, dict[str, str]], ...] = ()
    waiting: tuple[str, ...] = ()
    listening: bool = True

    def selecting(self, kind, namespace, labels):
        return [n for k, n, wanted in self.selectors if k == kind and wanted.items() <= labels.items()]

    def waiting_pods(self):
        return self.waiting

    def listens(self, node):
        return self.listening


def woken(kind, change, **world):
    return {(key.kind, key.name, key.node) for key in keys_of(kind, change, Around(**world))}


def test_a_new_pod_wakes_scheduler_and_owner():
    change = Seen("ADDED", owner=("ReplicaSet", "web-1"))
    assert woken("Pod", change) == {("Pod", "shop/a", ""), ("ReplicaSet", "shop/web-1", "")}


def test_the_schedulers_own_word_does_not_wake_it():
    assert woken("Pod", Seen(actor="system:scheduler")) == set()


def test_a_bound_pod_wakes_its_node():
    change = Seen(actor="system:scheduler", fields={"spec.nodeName": "n1"})
    assert woken("Pod", change) == {("Pod", "shop/a", "n1")}


@pytest.mark.parametrize("quiet", [{"actor": "system:node:n1"}, {"listening": False}])
def test_a_node_is_not_told_what_it_said_nor_when_it_is_silent(quiet):
    change = Seen(actor=quiet.pop("actor", "alice"), fields={"spec.nodeName": "n1"})
    assert woken("Pod", change, **quiet) == set()


def test_a_pod_wakes_the_services_that_select_or_selected_it():
    selectors = [("Service", "old", {"app": "a"}), ("Service", "new", {"app": "b"}), ("Service", "no", {"app": "c"})]
    change = Seen(
        labels={"app": "b"}, previous_labels={"app": "a"}, owner=("ReplicaSet", "r"), fields={"spec.nodeName": "n"}
    )
    found = {name for kind, name, _ in woken("Pod", change, selectors=selectors) if kind == "Service"}
    assert found == {"shop/old", "shop/new"}


@pytest.mark.parametrize(("verb", "phase"), [("DELETED", "Running"), ("MODIFIED", "Succeeded")])
def test_room_that_is_given_back_wakes_the_pods_that_wait(verb, phase):
    change = Seen(verb, actor="system:node:n1", fields={"spec.nodeName": "n1", "status.phase": phase})
    assert ("Pod", "shop/waits", "") in woken("Pod", change, waiting=("shop/waits",), listening=False)


def test_a_node_that_changed_wakes_the_pods_that_wait():
    found = woken("Node", Seen(namespace="", name="n1"), waiting=("shop/waits",))
    assert found == {("Node", "n1", ""), ("Pod", "shop/waits", "")}


def test_an_orphan_wakes_who_could_adopt_it():
    selectors = [("ReplicaSet", "web-1", {"app": "a"})]
    change = Seen("ADDED", labels={"app": "a"}, fields={"spec.nodeName": "n1"})
    assert ("ReplicaSet", "shop/web-1", "") in woken("Pod", change, selectors=selectors)


def test_the_last_old_pod_wakes_a_deployment_that_recreates():
    change = Seen("DELETED", labels={"pod-template-hash": "5d4"}, owner=("ReplicaSet", "web-5d4"))
    assert ("Deployment", "shop/web", "") in woken("Pod", change)


def test_a_controllers_own_status_does_not_wake_it_but_its_owner():
    change = Seen(name="web-1", actor="system:controller:replicaset", owner=("Deployment", "web"))
    assert woken("ReplicaSet", change) == {("Deployment", "shop/web", "")}


def test_a_renewed_lease_wakes_only_a_node_that_counts_as_silent():
    change = Seen(namespace="kube-node-lease", name="n1")
    assert woken("Lease", change) == set()
    assert woken("Lease", change, listening=False) == {("Node", "n1", "")}


def test_a_key_is_written_and_read_back():
    assert parse(str(Key("Garbage", "owner/1"))) == Key("Garbage", "owner/1")
    assert parse(str(Key("Deployment", "shop/web"))) == Key("Deployment", "shop/web")


def test_a_key_that_is_woken_while_it_runs_runs_once_more():
    keys, runs, inside, go_on = OneAtATime(), [], threading.Event(), threading.Event()

    def work(key):
        runs.append(key)
        inside.set()
        assert go_on.wait(5)

    thread = threading.Thread(target=keys.run, args=(Key("Node", "n"), work))
    thread.start()
    assert inside.wait(5)
    assert [keys.run(Key("Node", "n"), work) for _ in range(3)] == [False] * 3
    go_on.set()
    thread.join(5)
    assert len(runs) == 2


def test_a_key_that_failed_can_run_again():
    keys = OneAtATime()
    with pytest.raises(ZeroDivisionError):
        keys.run(Key("Node", "n"), lambda key: 1 / 0)
    assert keys.run(Key("Node", "n"), lambda key: None)


def test_keys_go_to_the_broker_once_each():
    sent = []
    dispatcher = Dispatcher(sent.append, run=lambda key: None)
    dispatcher.wake([Key("Node", "n"), Key("Node", "n"), Key("Pod", "a/b")])
    dispatcher.close()
    assert sent == [Key("Node", "n"), Key("Pod", "a/b")]


def test_without_a_broker_keys_run_here_and_nodes_watch_by_themselves():
    ran, done = [], threading.Event()

    def run(key):
        ran.append(key)
        done.set()

    def refuse(key):
        raise ConnectionError("no broker")

    dispatcher = Dispatcher(refuse, run=run)
    dispatcher.wake([Key("Pod", "a/b", "n1"), Key("Node", "n")])
    assert done.wait(5)
    dispatcher.close()
    assert ran == [Key("Node", "n")]
