"""Defaults and rules of pods, in Kubernetes' words."""

from typing import Any

import pytest

from apps.kinds.admission import admit_create
from apps.kinds.poddefaults import pull_policy
from apps.kinds.registry import by_kind
from apps.kinds.tests.examples import (
    CONTAINER,
    NOW,
    admit,
    created,
    pod,
    problems,
    update_problems,
    updated,
    with_container,
)


def test_a_pod_has_the_defaults_of_kubernetes() -> None:
    spec = created(pod(containers=[{"name": "c", "image": "nginx", "ports": [{"containerPort": 80}]}]))["spec"]
    assert spec.pop("tolerations") == [
        {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
        for key in ("not-ready", "unreachable")
    ]
    assert spec == {
        "containers": [
            {
                "name": "c",
                "image": "nginx",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "resources": {},
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "Always",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
        "serviceAccountName": "default",
        "serviceAccount": "default",
        "priority": 0,
        "preemptionPolicy": "PreemptLowerPriority",
    }


def test_a_probe_has_its_defaults_and_zero_counts_as_absent() -> None:
    probe = {"httpGet": {"port": 80}, "periodSeconds": 0, "initialDelaySeconds": 0}
    filled = created(with_container(readinessProbe=probe))["spec"]["containers"][0]["readinessProbe"]
    assert filled == {
        "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
        "initialDelaySeconds": 0,
        "timeoutSeconds": 1,
        "periodSeconds": 10,
        "successThreshold": 1,
        "failureThreshold": 3,
    }


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.25", "IfNotPresent"),
        ("localhost:5000/nginx", "Always"),
        ("nginx@sha256:" + "a" * 64, "IfNotPresent"),
        ("nginx:latest@sha256:" + "a" * 64, "IfNotPresent"),
        ("BAD", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert pull_policy(image) == policy


def test_requests_default_to_limits_and_make_the_pod_guaranteed() -> None:
    stored = created(with_container(resources={"limits": {"cpu": 0.5, "memory": "1024Mi"}}))
    quantities = {"cpu": "500m", "memory": "1Gi"}
    assert stored["spec"]["containers"][0]["resources"] == {"limits": quantities, "requests": quantities}
    assert stored["status"]["qosClass"] == "Guaranteed"
    burstable = created(with_container(resources={"requests": {"cpu": "1"}}))
    assert burstable["status"]["qosClass"] == "Burstable"


def test_a_toleration_of_its_own_keeps_the_default_away() -> None:
    forever = {"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}
    tolerations = created(pod(tolerations=[forever]))["spec"]["tolerations"]
    assert [t["key"] for t in tolerations] == ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"]
    assert "tolerationSeconds" not in tolerations[0]


def test_a_volume_with_a_name_alone_is_an_empty_directory() -> None:
    assert created(pod(volumes=[{"name": "v"}]))["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]


PORT = {"containerPort": 80, "name": "web"}
C0 = "spec.containers[0]"


@pytest.mark.parametrize(
    ("obj", "sentence"),
    [
        (pod(containers=[]), "spec.containers: Required value"),
        ({**pod(), "spec": None}, "spec.containers: Required value"),
        (pod(containers=[{"image": "x"}]), f"{C0}.name: Required value"),
        (pod(containers=[{"name": "c"}]), f"{C0}.image: Required value"),
        (with_container(image=" nginx"), f'{C0}.image: Invalid value: " nginx": must not have leading or trailing'),
        (with_container(name="A"), f'{C0}.name: Invalid value: "A": a lowercase RFC 1123 label must consist of'),
        (pod(containers=[CONTAINER, CONTAINER]), 'spec.containers[1].name: Duplicate value: "c"'),
        (pod(initContainers=[CONTAINER]), f'{C0}.name: Duplicate value: "c"'),
        (with_container(ports=[{"name": "web"}]), f"{C0}.ports[0].containerPort: Required value"),
        (
            with_container(ports=[{"containerPort": 65536}]),
            f"{C0}.ports[0].containerPort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (with_container(ports=[PORT, {**PORT, "containerPort": 81}]), f'{C0}.ports[1].name: Duplicate value: "web"'),
        (
            with_container(ports=[{**PORT, "protocol": "tcp"}]),
            f'{C0}.ports[0].protocol: Unsupported value: "tcp": supported values: "TCP", "UDP", "SCTP"',
        ),
        (
            with_container(ports=[{**PORT, "name": "a-very-long-port-name"}]),
            f'{C0}.ports[0].name: Invalid value: "a-very-long-port-name": must be no more than 15 characters',
        ),
        (with_container(env=[{"name": "A=B"}]), f'{C0}.env[0].name: Invalid value: "A=B": a valid environment'),
        (
            with_container(
                env=[{"name": "A", "value": "1", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
            ),
            f'{C0}.env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (
            with_container(env=[{"name": "A", "valueFrom": {}}]),
            f'{C0}.env[0].valueFrom: Invalid value: "": must specify one of: `fieldRef`, `resourceFieldRef`,',
        ),
        (
            with_container(env=[{"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.nme"}}}]),
            f'{C0}.env[0].valueFrom.fieldRef.fieldPath: Unsupported value: "metadata.nme": supported values:',
        ),
        (with_container(envFrom=[{}]), f'{C0}.envFrom[0]: Invalid value: "": must specify one of'),
        (with_container(volumeMounts=[{"name": "v", "mountPath": "/a"}]), f'{C0}.volumeMounts[0].name: Not found: "v"'),
        (
            with_container(resources={"requests": {"memory": "lots"}}),
            f'{C0}.resources.requests[memory]: Invalid value: "lots": quantities must match the regular expression',
        ),
        (
            with_container(resources={"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}),
            f'{C0}.resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            with_container(resources={"limits": {"cpu": "-1"}}),
            f'{C0}.resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            with_container(resources={"limits": {"gpus": "1"}}),
            f'{C0}.resources.limits[gpus]: Invalid value: "gpus": must be a standard resource type or fully qualified',
        ),
        (with_container(readinessProbe={}), f"{C0}.readinessProbe: Required value: must specify a handler type"),
        (
            with_container(livenessProbe={"tcpSocket": {"port": 80}, "httpGet": {"port": 80}}),
            f"{C0}.livenessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        (
            with_container(livenessProbe={"tcpSocket": {"port": 80}, "successThreshold": 2}),
            f"{C0}.livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            with_container(livenessProbe={"tcpSocket": {"port": "nope!"}}),
            f'{C0}.livenessProbe.tcpSocket.port: Invalid value: "nope!": must contain only alpha-numeric',
        ),
        (
            pod(initContainers=[{"name": "i", "image": "x", "readinessProbe": {"tcpSocket": {"port": 1}}}]),
            "spec.initContainers[0].readinessProbe: Forbidden: may not be set for init containers without",
        ),
        (with_container(restartPolicy="Always"), f"{C0}.restartPolicy: Forbidden: may not be set for non-init"),
        (pod(volumes=[{"name": "v"}, {"name": "v"}]), 'spec.volumes[1].name: Duplicate value: "v"'),
        (
            pod(volumes=[{"name": "v", "emptyDir": {}, "hostPath": {"path": "/x"}}]),
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        (
            pod(volumes=[{"name": "v", "configMap": {"name": "c", "items": [{"key": "a", "path": "../b"}]}}]),
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../b\": must not contain '..'",
        ),
        (
            pod(restartPolicy="Sometimes"),
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always"',
        ),
        (
            pod(terminationGracePeriodSeconds=-1),
            "spec.terminationGracePeriodSeconds: Invalid value: -1: must be greater",
        ),
        (pod(nodeSelector={"a b": "c"}), 'spec.nodeSelector: Invalid value: "a b": name part must consist of'),
        (
            pod(tolerations=[{"operator": "Equal", "value": "x"}]),
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
        ),
        (
            pod(tolerations=[{"key": "a", "tolerationSeconds": 3, "effect": "NoSchedule"}]),
            "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when",
        ),
        (pod(dnsPolicy="None"), "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver"),
        (pod(hostAliases=[{"ip": "10.1.2"}]), 'spec.hostAliases[0].ip: Invalid value: "10.1.2": must be a valid IP'),
        (
            pod(shareProcessNamespace=True, hostPID=True),
            "spec.shareProcessNamespace: Invalid value: true: ShareProcessNamespace and HostPID cannot both be enabled",
        ),
        (
            with_container(securityContext={"privileged": True, "allowPrivilegeEscalation": False}),
            f"{C0}.securityContext: Invalid value: ",
        ),
    ],
)
def test_a_bad_pod_is_refused_in_the_words_of_kubernetes(obj: dict[str, Any], sentence: str) -> None:
    assert any(problem.startswith(sentence) for problem in problems(obj)), problems(obj)


def test_every_problem_is_told_at_once() -> None:
    assert len(problems(pod(containers=[{"name": "A", "ports": [{"containerPort": -1}]}], restartPolicy="x"))) == 3


def test_an_image_that_no_registry_can_have_is_a_warning() -> None:
    warnings = admit(with_container(image="Nginx")).warnings
    assert warnings == [f"{C0}.image: invalid image reference 'Nginx': the repository name must be lowercase"]


def test_doubled_environment_and_ports_are_warnings() -> None:
    twice = with_container(
        env=[{"name": "A", "value": "1"}, {"name": "A", "value": "2"}],
        ports=[{"containerPort": 80}, {"containerPort": 80}],
    )
    assert admit(twice).warnings == [
        f'{C0}.env[1]: hides previous definition of "A", which may be dropped when using apply',
        f"{C0}.ports[1]: duplicate port definition with {C0}.ports[0]",
    ]


def test_image_tolerations_and_deadline_of_a_pod_may_change() -> None:
    old = created(pod())
    spec = {
        **old["spec"],
        "containers": [{**old["spec"]["containers"][0], "image": "nginx:1.26"}],
        "tolerations": [*old["spec"]["tolerations"], {"key": "a", "operator": "Exists"}],
        "activeDeadlineSeconds": 60,
    }
    new = updated({**old, "spec": spec}, old)
    assert new["spec"]["containers"][0]["image"] == "nginx:1.26"
    assert new["metadata"]["generation"] == 2


@pytest.mark.parametrize(
    "change", [{"hostname": "other"}, {"nodeName": "n1"}, {"restartPolicy": "Never"}, {"nodeSelector": {"a": "b"}}]
)
def test_nothing_else_of_a_pod_may_change(change: dict[str, Any]) -> None:
    old = created(pod())
    refused = update_problems({**old, "spec": {**old["spec"], **change}}, old)
    assert refused[0].startswith("spec: Forbidden: pod updates may not change fields other than `spec.containers[*]")


def test_containers_of_a_pod_may_not_be_added_or_removed() -> None:
    old = created(pod())
    containers = [*old["spec"]["containers"], {**old["spec"]["containers"][0], "name": "d"}]
    refused = update_problems({**old, "spec": {**old["spec"], "containers": containers}}, old)
    assert refused == ["spec.containers: Forbidden: pod updates may not add or remove containers"]


def test_a_status_that_is_no_status_is_refused() -> None:
    old = created(pod())
    try:
        updated({**old, "status": {"phase": "Dancing", "podIP": 3}}, old, "status")
    except Exception as error:
        assert "status.phase: Unsupported value" in str(error)
        assert "status.podIP: Invalid value: 3: must be a string" in str(error)
    else:
        raise AssertionError("a bad status was admitted")


def test_a_name_generated_without_a_suffix_ends_as_it_began() -> None:
    obj = {**pod(), "metadata": {"generateName": "web"}}
    admitted = admit_create(by_kind("Pod"), obj, namespace="default", now=NOW, new_uid="u")
    assert admitted.object["metadata"]["name"] == "web"
