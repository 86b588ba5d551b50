"""Defaults and rules of deployments and replica sets."""

from typing import Any

import pytest

from apps.kinds.tests.examples import CONTAINER, admit, created, deployment, problems, update_problems, updated


def replica_set(**spec: Any) -> dict[str, Any]:
    return {**deployment(**spec), "kind": "ReplicaSet"}


def template(labels: Any = None, **spec: Any) -> dict[str, Any]:
    return {"metadata": {"labels": labels or {"app": "web"}}, "spec": {"containers": [CONTAINER], **spec}}


def test_a_deployment_has_the_defaults_of_kubernetes() -> None:
    spec = created(deployment())["spec"]
    spec.pop("template")
    assert spec == {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "web"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "25%", "maxSurge": "25%"}},
        "revisionHistoryLimit": 10,
        "progressDeadlineSeconds": 600,
    }


def test_a_template_has_no_default_tolerations_and_no_account() -> None:
    spec = created(deployment())["spec"]["template"]["spec"]
    assert not spec.keys() & {"tolerations", "serviceAccountName", "priority", "enableServiceLinks"}
    assert spec["containers"][0]["imagePullPolicy"] == "IfNotPresent"


def test_zero_replicas_stay_zero() -> None:
    assert created(deployment(replicas=0, revisionHistoryLimit=0))["spec"]["replicas"] == 0


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ({"selector": None}, "spec.selector: Required value"),
        ({"selector": {}}, "spec.selector: Required value"),
        ({"template": None}, "spec.template.spec.containers: Required value"),
        (
            {"template": template({"app": "db"})},
            'spec.template.metadata.labels: Invalid value: {"app":"db"}: `selector` does not match template `labels`',
        ),
        (
            {"template": template(restartPolicy="Never")},
            'spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"template": template(activeDeadlineSeconds=3)},
            "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in Deployment is not Supported",
        ),
        (
            {"template": template(containers=[{**CONTAINER, "volumeMounts": [{"name": "v", "mountPath": "/a"}]}])},
            'spec.template.spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "0%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "0%": may not be 0 when `maxSurge` is 0',
        ),
        (
            {"strategy": {"rollingUpdate": {"maxUnavailable": "101%"}}},
            'spec.strategy.rollingUpdate.maxUnavailable: Invalid value: "101%": must not be greater than 100%',
        ),
        (
            {"strategy": {"rollingUpdate": {"maxSurge": "half"}}},
            'spec.strategy.rollingUpdate.maxSurge: Invalid value: "half": a valid percent string must be a numeric',
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {}}},
            "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
        ),
        ({"strategy": {"type": "Slow"}}, 'spec.strategy.type: Unsupported value: "Slow": supported values: "Recreate"'),
        (
            {"progressDeadlineSeconds": 5, "minReadySeconds": 5},
            "spec.progressDeadlineSeconds: Invalid value: 5: must be greater than minReadySeconds",
        ),
        (
            {"selector": {"matchExpressions": [{"key": "app", "operator": "In"}]}},
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is",
        ),
    ],
)
def test_a_bad_deployment_is_refused(spec: dict[str, Any], sentence: str) -> None:
    told = problems(deployment(**spec))
    assert any(problem.startswith(sentence) for problem in told), told


def test_the_selector_never_changes() -> None:
    for old in (created(deployment()), created(replica_set())):
        spec = {**old["spec"], "selector": {"matchLabels": {"app": "web", "b": "c"}}}
        spec["template"] = {**spec["template"], "metadata": {"labels": {"app": "web", "b": "c"}}}
        assert update_problems({**old, "spec": spec}, old)[-1].endswith("field is immutable")


def test_recreate_needs_no_rolling_update() -> None:
    assert created(deployment(strategy={"type": "Recreate"}))["spec"]["strategy"] == {"type": "Recreate"}


def test_warnings_name_the_place_in_the_template() -> None:
    affinity: dict[str, Any] = {"podAffinity": {}}
    priority = template(affinity=affinity, priorityClassName="high")
    assert all(w.startswith("spec.template.spec.") for w in admit(deployment(template=priority)).warnings)
    assert len(admit(deployment(template=priority)).warnings) >= 1


def test_scaling_is_a_new_generation() -> None:
    old = created(replica_set())
    assert updated({**old, "spec": {**old["spec"], "replicas": 4}}, old)["metadata"]["generation"] == 2
