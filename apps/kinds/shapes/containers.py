"""A container of a pod: image, command, environment, ports, resources. Part of the description of the pod."""

from apps.kinds import rules
from apps.kinds.schema import BOOLEAN, INTEGER, QUANTITY, STRING, Field, List, Map, Struct
from apps.kinds.shapes.probes import LIFECYCLE, PROBE
from apps.kinds.shapes.security import SECURITY_CONTEXT
from apps.kinds.shapes.volumes import OBJECT_FIELD_SELECTOR, RESOURCE_FIELD_SELECTOR

CONTAINER_PORT = Struct(
    "io.k8s.api.core.v1.ContainerPort",
    {
        "name": Field(1, STRING, check=rules.port_name),
        "hostPort": Field(2, INTEGER, check=rules.port, not_acted_on=True),
        "containerPort": Field(3, INTEGER, required=True, check=rules.port),
        "protocol": Field(4, STRING, enum=("TCP", "UDP", "SCTP"), default="TCP"),
        "hostIP": Field(5, STRING, check=rules.ip_address),
    },
)


CONFIG_MAP_ENV_SOURCE = Struct(
    "io.k8s.api.core.v1.ConfigMapEnvSource",
    {
        "name": Field((1, 1), STRING, required=True),
        "optional": Field(2, BOOLEAN),
    },
)


SECRET_ENV_SOURCE = Struct(
    "io.k8s.api.core.v1.SecretEnvSource",
    {
        "name": Field((1, 1), STRING, required=True),
        "optional": Field(2, BOOLEAN),
    },
)


ENV_FROM_SOURCE = Struct(
    "io.k8s.api.core.v1.EnvFromSource",
    {
        "prefix": Field(1, STRING, check=rules.environment_name),
        "configMapRef": Field(2, CONFIG_MAP_ENV_SOURCE),
        "secretRef": Field(3, SECRET_ENV_SOURCE),
    },
)


CONFIG_MAP_KEY_SELECTOR = Struct(
    "io.k8s.api.core.v1.ConfigMapKeySelector",
    {
        "name": Field((1, 1), STRING, required=True),
        "key": Field(2, STRING, required=True, check=rules.config_key),
        "optional": Field(3, BOOLEAN),
    },
)


SECRET_KEY_SELECTOR = Struct(
    "io.k8s.api.core.v1.SecretKeySelector",
    {
        "name": Field((1, 1), STRING, required=True),
        "key": Field(2, STRING, required=True, check=rules.config_key),
        "optional": Field(3, BOOLEAN),
    },
)


ENV_VAR_SOURCE = Struct(
    "io.k8s.api.core.v1.EnvVarSource",
    {
        "fieldRef": Field(1, OBJECT_FIELD_SELECTOR),
        "resourceFieldRef": Field(2, RESOURCE_FIELD_SELECTOR),
        "configMapKeyRef": Field(3, CONFIG_MAP_KEY_SELECTOR),
        "secretKeyRef": Field(4, SECRET_KEY_SELECTOR),
    },
)


ENV_VAR = Struct(
    "io.k8s.api.core.v1.EnvVar",
    {
        "name": Field(1, STRING, required=True, check=rules.environment_name),
        "value": Field(2, STRING),
        "valueFrom": Field(3, ENV_VAR_SOURCE),
    },
)


RESOURCE_REQUIREMENTS = Struct(
    "io.k8s.api.core.v1.ResourceRequirements",
    {
        "limits": Field(1, Map(QUANTITY)),
        "requests": Field(2, Map(QUANTITY)),
    },
)


CONTAINER_RESIZE_POLICY = Struct(
    "io.k8s.api.core.v1.ContainerResizePolicy",
    {
        "resourceName": Field(1, STRING, required=True, enum=("cpu", "memory")),
        "restartPolicy": Field(2, STRING, required=True, enum=("NotRequired", "RestartContainer")),
    },
)


VOLUME_MOUNT = Struct(
    "io.k8s.api.core.v1.VolumeMount",
    {
        "name": Field(1, STRING, required=True),
        "readOnly": Field(2, BOOLEAN),
        "recursiveReadOnly": Field(7, STRING, enum=("Disabled", "IfPossible", "Enabled"), not_acted_on=True),
        "mountPath": Field(3, STRING, required=True, check=rules.mount_path),
        "subPath": Field(4, STRING, check=rules.relative_path),
        "mountPropagation": Field(5, STRING, enum=("None", "HostToContainer", "Bidirectional"), not_acted_on=True),
        "subPathExpr": Field(6, STRING, check=rules.relative_path),
    },
)


CONTAINER = Struct(
    "io.k8s.api.core.v1.Container",
    {
        "name": Field(1, STRING, required=True, check=rules.dns_label),
        "image": Field(2, STRING, check=rules.image),
        "command": Field(3, List(STRING)),
        "args": Field(4, List(STRING)),
        "workingDir": Field(5, STRING, check=rules.text_without_controls),
        "ports": Field(
            6,
            List(
                CONTAINER_PORT,
                keys=(
                    "containerPort",
                    "protocol",
                ),
            ),
            patch="merge",
            merge_key="containerPort",
        ),
        "envFrom": Field(19, List(ENV_FROM_SOURCE)),
        "env": Field(7, List(ENV_VAR, keys=("name",)), patch="merge", merge_key="name"),
        "resources": Field(8, RESOURCE_REQUIREMENTS, default={}),
        "resizePolicy": Field(23, List(CONTAINER_RESIZE_POLICY), not_acted_on=True),
        "restartPolicy": Field(24, STRING, enum=("Always", "OnFailure", "Never"), not_acted_on=True),
        "volumeMounts": Field(9, List(VOLUME_MOUNT, keys=("mountPath",)), patch="merge", merge_key="mountPath"),
        "livenessProbe": Field(10, PROBE),
        "readinessProbe": Field(11, PROBE),
        "startupProbe": Field(22, PROBE),
        "lifecycle": Field(12, LIFECYCLE),
        "terminationMessagePath": Field(
            13, STRING, default="/dev/termination-log", check=rules.text_without_controls, not_acted_on=True
        ),
        "terminationMessagePolicy": Field(20, STRING, enum=("File", "FallbackToLogsOnError"), default="File"),
        "imagePullPolicy": Field(14, STRING, enum=("Always", "IfNotPresent", "Never")),
        "securityContext": Field(15, SECURITY_CONTEXT),
        "stdin": Field(16, BOOLEAN),
        "stdinOnce": Field(17, BOOLEAN, not_acted_on=True),
        "tty": Field(18, BOOLEAN),
    },
)
