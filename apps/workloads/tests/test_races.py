"""Two controllers and two schedulers at work at once: never an extra pod, never a node over what it has.

Each pair runs in a process of its own while this one makes 1,000 random changes. Afterwards the log itself is the
witness: it is replayed revision by revision, so a violation that lasted for one revision only would be seen.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection

from apps.scheduling.logic.seen import pod_requests
from apps.store import read, transaction
from apps.store.log import log_reader
from apps.store.rows import Change
from apps.store.testing import store  # noqa: F401
from apps.workloads.tests.store_helpers import ALICE, post_node

ROUNDS = 1000
ROOT = Path(settings.BASE_DIR)
REPLICA_SETS = [f"set-{n}" for n in range(4)]


def post_replica_set(name, replicas):
    labels = {"set": name}
    container = {"name": "c", "image": "busybox", "resources": {"requests": {"cpu": "300m"}}}
    spec = {"replicas": replicas, "selector": {"matchLabels": labels}}
    spec["template"] = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    transaction.create("ReplicaSet", {"metadata": {"name": name, "namespace": "default"}, "spec": spec}, ALICE)


def start(seed):
    command = [
        sys.executable,
        "-m",
        "apps.workloads.tests.race_worker",
        str(connection.settings_dict["NAME"]),
        str(seed),
    ]
    environment = {**os.environ, "GANTRY_HOME": str(settings.GANTRY_HOME), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def disturb(chance):
    """Scale a replica set, or delete one of the pods; an unbound pod goes at once, a bound one in two steps."""
    if chance.random() < 0.5:
        replicas = chance.randint(0, 6)

        def change(object):
            return {**object, "spec": {**object["spec"], "replicas": replicas}}

        transaction.modify("ReplicaSet", "default", chance.choice(REPLICA_SETS), change, ALICE)
        return
    pods = read.list_objects("Pod", "default").items
    if pods:
        pod = chance.choice(pods)
        grace = 0 if pod.deletion_milliseconds is not None or chance.random() < 0.5 else None
        try:
            transaction.delete("Pod", "default", pod.name, ALICE, grace_seconds=grace)
        except Exception as error:  # somebody else was first
            assert "not found" in str(error)


class Witness:
    """The state of the world at one revision after the other."""

    def __init__(self, allocatable):
        self.allocatable, self.replicas, self.pods = allocatable, {}, {}
        self.created = self.bound = 0

    def see(self, change: Change):
        object = change.object
        if change.kind == "ReplicaSet":
            self.replicas[change.uid] = object["spec"]["replicas"]
        elif change.kind == "Pod" and change.verb == "DELETED":
            self.pods.pop(change.uid, None)
        elif change.kind == "Pod":
            before = self.pods.get(change.uid)
            self.pods[change.uid] = object
            if change.verb == "ADDED":
                self.check_owner(object)
            if object["spec"].get("nodeName") and not (before or object)["spec"].get("nodeName"):
                self.check_node(object["spec"]["nodeName"])

    def check_owner(self, pod):
        self.created += 1
        owner = pod["metadata"]["ownerReferences"][0]["uid"]
        active = [p for p in self.pods.values() if p["metadata"]["ownerReferences"][0]["uid"] == owner]
        active = [p for p in active if not p["metadata"].get("deletionTimestamp")]
        assert len(active) <= self.replicas[owner], "an extra pod"

    def check_node(self, node):
        self.bound += 1
        on_node = [p for p in self.pods.values() if p["spec"].get("nodeName") == node]
        assert sum(pod_requests(p["spec"]).cpu for p in on_node) <= self.allocatable, f"{node} is over its allocatable"


@pytest.mark.usefixtures("store")
def test_two_controllers_and_two_schedulers_over_a_thousand_rounds():
    chance = random.Random(7)
    for node in ("n1", "n2"):
        post_node(node, cpu="2")
    for name in REPLICA_SETS:
        post_replica_set(name, 3)
    first = read.compacted_revision()
    workers = [start(seed) for seed in (1, 2)]
    assert [worker.stdout.readline() for worker in workers] == ["at work\n"] * 2
    answers = log_reader().subscribe(read.current_revision())
    for _ in range(ROUNDS):
        disturb(chance)
        # Let somebody answer now and then, else the thousand changes are over before the first plan.
        while (answer := answers.get(0.01)) is not None and answer.actor == ALICE.actor:
            pass
    conflicts = [int(worker.communicate()[0]) for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0]
    witness, position = Witness(2000), first
    while changes := read.changes_after(position, None, 1000)[0]:
        for change in changes:
            witness.see(change)
        position = changes[-1].revision
    assert witness.created > 100
    assert witness.bound > 50
    # Without a single plan thrown away the test would have proved nothing.
    assert sum(conflicts) > 0
