"""A whole agent with the real runtime: pods run, crash, are deleted, and survive the agent."""

import socket
import time
import urllib.request
from pathlib import Path

import pytest

from nodeworker.agent.tests.conftest import end_process
from nodeworker.runtime.specs import ProcessSpec

pytestmark = pytest.mark.root


def test_a_pod_runs_and_is_reported(node):
    node.run_pod("first", "sleep", "1000")
    node.api.wait(lambda: node.is_ready("first"))
    status = node.status("first")
    assert status["phase"] == "Running"
    assert status["podIP"].startswith("10.211.7.")
    assert node.container("first")["containerID"] == "gantry://uid-first/main/0"
    node.api.wait(lambda: [key for key in node.api.objects if key[0] == "events"] and len(node.api.steps) > 1)
    reasons = {entry["reason"] for key, entry in node.api.objects.items() if key[0] == "events"}
    assert {"Pulled", "Created"} <= reasons


def test_the_node_is_registered(node):
    entry = node.api.get("nodes", "", "n1")
    conditions = {condition["type"]: condition["status"] for condition in entry["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert entry["status"]["nodeInfo"]["containerRuntimeVersion"] == "gantry://0.1.0"
    node.api.wait(lambda: node.api.get("leases", "kube-node-lease", "n1"))


def test_a_killed_container_is_restarted(node):
    node.run_pod("killed", "sleep", "1000")
    node.api.wait(lambda: node.is_ready("killed"))
    end_process(node.pid("killed"))
    node.api.wait(lambda: node.container("killed")["restartCount"] == 1 and node.is_ready("killed"))
    assert node.container("killed")["lastState"]["terminated"]["exitCode"] == 137


def test_a_container_that_ends_at_once_loops_and_waits(node):
    node.run_pod("crashing", "sh", "-c", "exit 3")
    waiting = lambda: node.container("crashing")["state"].get("waiting", {}).get("reason")
    node.api.wait(lambda: waiting() == "CrashLoopBackOff")
    entry = node.container("crashing")
    assert entry["lastState"]["terminated"]["exitCode"] == 3
    assert entry["restartCount"] == 1


def test_a_job_like_pod_succeeds(node):
    node.run_pod("job", "true", restartPolicy="Never")
    node.api.wait(lambda: node.status("job").get("phase") == "Succeeded")
    assert node.container("job")["state"]["terminated"]["reason"] == "Completed"


def test_a_command_that_does_not_exist_is_told(node):
    node.run_pod("wrong", "no-such-command", restartPolicy="Never")
    node.api.wait(lambda: node.status("wrong").get("phase") == "Failed")
    terminated = node.container("wrong")["state"]["terminated"]
    assert terminated["reason"] in ("ContainerCannotRun", "StartError")
    assert "no-such-command" in terminated["message"]


def test_an_image_that_does_not_exist_is_told(node):
    node.run_pod("imageless", "true", container={"image": "nothing"})
    node.api.wait(lambda: node.container("imageless")["state"].get("waiting", {}).get("reason") == "ErrImagePull")
    node.api.wait(lambda: node.container("imageless")["state"]["waiting"]["reason"] == "ImagePullBackOff")
    assert "no such image" in node.container("imageless")["state"]["waiting"]["message"]


def test_a_missing_config_map_holds_the_container_until_it_is_there(node):
    reference = {"configMapKeyRef": {"name": "settings", "key": "colour"}}
    node.run_pod(
        "configured",
        "sh",
        "-c",
        'echo "$COLOUR" > /tmp/colour; sleep 1000',
        container={"env": [{"name": "COLOUR", "valueFrom": reference}]},
    )
    waiting = lambda: node.container("configured")["state"].get("waiting", {})
    node.api.wait(lambda: waiting().get("reason") == "CreateContainerConfigError")
    assert waiting()["message"] == 'configmap "settings" not found'
    node.api.put("configmaps", {"metadata": {"namespace": "shop", "name": "settings"}, "data": {"colour": "blue"}})
    node.api.wait(lambda: node.is_ready("configured"))


def test_a_deleted_pod_goes_with_its_grace_and_leaves_nothing(node):
    # PID 1 has no default action for SIGTERM: the trap must be set before it comes.
    script = "trap 'exit 0' TERM; touch /tmp/ready; while true; do sleep 0.01; done"
    probe = {"exec": {"command": ["test", "-f", "/tmp/ready"]}}
    node.run_pod("leaving", "sh", "-c", script, container={"readinessProbe": probe})
    node.api.wait(lambda: node.is_ready("leaving"))
    node.api.mark_deleted("shop", "leaving", 30)
    node.api.wait(lambda: node.api.get("pods", "shop", "leaving") is None)
    assert node.agent.runtime.pod("uid-leaving") is None


def test_a_process_that_ignores_sigterm_is_killed_after_its_grace(node):
    node.run_pod("stubborn", "sh", "-c", "trap '' TERM; while true; do sleep 0.05; done")
    node.api.wait(lambda: node.is_ready("stubborn"))
    began = time.monotonic()
    node.api.mark_deleted("shop", "stubborn", 1)
    node.api.wait(lambda: node.api.get("pods", "shop", "stubborn") is None)
    assert time.monotonic() - began >= 1.0


def test_a_pod_that_is_deleted_by_force_is_removed_from_the_node(node):
    node.run_pod("forced", "sleep", "1000")
    node.api.wait(lambda: node.is_ready("forced"))
    pid = node.pid("forced")
    node.api.remove("pods", "shop", "forced")
    deadline = time.monotonic() + 40
    while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


def test_a_readiness_probe_is_waited_for(node):
    probe = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
    node.run_pod("probed", "sh", "-c", "sleep 0.2; exec httpd -f -p 8080", container={"readinessProbe": probe})
    node.api.wait(lambda: node.status("probed").get("phase") == "Running")
    assert not node.is_ready("probed")
    node.api.wait(lambda: node.is_ready("probed"))


def test_init_containers_run_first(node):
    init = [{"name": "prepare", "image": "busybox", "command": ["sh", "-c", "echo ok > /data/x"]}]
    mount = {"volumeMounts": [{"name": "data", "mountPath": "/data"}]}
    init[0] |= mount
    node.run_pod(
        "initial",
        "sh",
        "-c",
        "test -f /data/x && sleep 1000",
        container=mount,
        initContainers=init,
        volumes=[{"name": "data", "emptyDir": {}}],
    )
    node.api.wait(lambda: node.is_ready("initial"))
    assert node.status("initial")["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 0


def test_config_map_files_change_with_their_object(node):
    node.api.put("configmaps", {"metadata": {"namespace": "shop", "name": "page"}, "data": {"index.html": "one"}})
    node.run_pod(
        "paged",
        "httpd",
        "-f",
        "-p",
        "8080",
        "-h",
        "/page",
        container={"volumeMounts": [{"name": "page", "mountPath": "/page"}]},
        volumes=[{"name": "page", "configMap": {"name": "page"}}],
    )
    node.api.wait(lambda: node.is_ready("paged"))
    wait_for_port(node.status("paged")["podIP"], 8080)
    address = f"http://{node.status('paged')['podIP']}:8080/"
    assert fetch(address) == "one"
    node.api.put("configmaps", {"metadata": {"namespace": "shop", "name": "page"}, "data": {"index.html": "two"}})
    deadline = time.monotonic() + 10
    while fetch(address) != "two" and time.monotonic() < deadline:
        time.sleep(0.02)
    assert fetch(address) == "two"


def test_a_service_reaches_its_pods_from_the_host(node):
    node.run_pod("served", "httpd", "-f", "-p", "8080", "-h", "/bin")
    node.api.wait(lambda: node.is_ready("served"))
    address = node.status("served")["podIP"]
    wait_for_port(address, 8080)
    service = {
        "metadata": {"namespace": "shop", "name": "web"},
        "spec": {"clusterIP": "10.211.128.9", "type": "NodePort", "ports": [{"port": 80, "nodePort": 31987}]},
    }
    node.api.put("services", service)
    refused("10.211.128.9", 80)
    node.api.put("endpointslices", slice_of(address))
    wait_for_port("10.211.128.9", 80)
    wait_for_port("127.0.0.1", 31987)


def test_a_pod_reaches_services_its_own_too_and_cannot_pretend(node):
    node.run_pod("server", "httpd", "-f", "-p", "8080", "-h", "/bin")
    powers = {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}}
    node.run_pod("client", "sleep", "1000", container=powers)
    node.api.wait(lambda: node.is_ready("server") and node.is_ready("client"))
    address = node.status("server")["podIP"]
    wait_for_port(address, 8080)
    spec = {"clusterIP": "10.211.128.20", "ports": [{"port": 80}]}
    node.api.put("services", {"metadata": {"namespace": "shop", "name": "inner"}, "spec": spec})
    node.api.put("endpointslices", slice_of(address, service="inner"))
    wait_for_port("10.211.128.20", 80)
    assert asks(node, "client", "10.211.128.20") == 0
    assert asks(node, "server", "10.211.128.20") == 0  # itself, through the service
    assert asks(node, "client", "10.211.128.77") != 0
    assert enter(node, "client", "ping", "-c1", "-W2", address) == 0
    assert enter(node, "client", "ip", "address", "add", "10.211.7.250/24", "dev", "eth0") == 0
    assert enter(node, "client", "ping", "-c1", "-W1", "-I", "10.211.7.250", address) != 0


def asks(node, name, address):
    """0 when the pod gets an answer of HTTP from the address."""
    script = f"printf 'GET /cat HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {address} 80 | grep -q HTTP/1"
    return enter(node, name, "sh", "-c", script)


def enter(node, name, *command):
    """The exit code of a command in the pod's container."""
    session = node.agent.runtime.exec(f"uid-{name}", "main", 0, ProcessSpec(list(command)))
    try:
        return session.wait(20)
    finally:
        session.close()


def slice_of(*addresses, service="web"):
    return {
        "metadata": {"namespace": "shop", "name": f"{service}-1", "labels": {"kubernetes.io/service-name": service}},
        "addressType": "IPv4",
        "ports": [{"port": 8080, "name": "", "protocol": "TCP"}],
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
    }


def test_after_kill_of_the_agent_its_pods_run_on_and_are_adopted(node):
    node.run_pod("adopted", "sleep", "1000")
    node.api.wait(lambda: node.is_ready("adopted"))
    pid, shim = node.pid("adopted"), node.agent.runtime.pod("uid-adopted").shim_pid
    node.agent.stop()
    node.start()
    assert (node.pid("adopted"), node.agent.runtime.pod("uid-adopted").shim_pid) == (pid, shim)
    end_process(pid)
    node.api.wait(lambda: node.container("adopted")["restartCount"] == 1 and node.is_ready("adopted"))


def fetch(address: str) -> str:
    with urllib.request.urlopen(address, timeout=5) as response:
        return str(response.read().decode())


def wait_for_port(address: str, port: int, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((address, port), timeout=2).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def refused(address: str, port: int) -> None:
    """The connection is refused at once, it does not hang."""
    began = time.monotonic()
    with pytest.raises(OSError):
        socket.create_connection((address, port), timeout=5)
    assert time.monotonic() - began < 1.0


def test_a_start_is_quick(node):
    """From the watch event to the status written; generous, for machines that are busy."""
    took = []
    for number in range(5):
        node.run_pod(f"quick{number}", "sleep", "1000")
        began = time.time()
        node.api.wait(lambda name=f"quick{number}": node.is_ready(name))
        took.append((time.time() - began) * 1000)
    assert sorted(took)[2] < 500
