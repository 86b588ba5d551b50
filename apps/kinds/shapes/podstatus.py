"""The status of a pod, as its node reports it. Part of the description of the pod."""

from apps.kinds.schema import BOOLEAN, INTEGER, INTEGER64, STRING, TIME, Field, List, Struct
from apps.kinds.shapes.containers import RESOURCE_REQUIREMENTS

POD_CONDITION = Struct(
    "io.k8s.api.core.v1.PodCondition",
    {
        "type": Field(1, STRING),
        "observedGeneration": Field(7, INTEGER64),
        "status": Field(2, STRING),
        "lastProbeTime": Field(3, TIME),
        "lastTransitionTime": Field(4, TIME),
        "reason": Field(5, STRING),
        "message": Field(6, STRING),
    },
)


HOST_IP = Struct(
    "io.k8s.api.core.v1.HostIP",
    {
        "ip": Field(1, STRING, required=True),
    },
)


POD_IP = Struct(
    "io.k8s.api.core.v1.PodIP",
    {
        "ip": Field(1, STRING, required=True),
    },
)


CONTAINER_STATE_WAITING = Struct(
    "io.k8s.api.core.v1.ContainerStateWaiting",
    {
        "reason": Field(1, STRING),
        "message": Field(2, STRING),
    },
)


CONTAINER_STATE_RUNNING = Struct(
    "io.k8s.api.core.v1.ContainerStateRunning",
    {
        "startedAt": Field(1, TIME),
    },
)


CONTAINER_STATE_TERMINATED = Struct(
    "io.k8s.api.core.v1.ContainerStateTerminated",
    {
        "exitCode": Field(1, INTEGER),
        "signal": Field(2, INTEGER),
        "reason": Field(3, STRING),
        "message": Field(4, STRING),
        "startedAt": Field(5, TIME),
        "finishedAt": Field(6, TIME),
        "containerID": Field(7, STRING),
    },
)


CONTAINER_STATE = Struct(
    "io.k8s.api.core.v1.ContainerState",
    {
        "waiting": Field(1, CONTAINER_STATE_WAITING),
        "running": Field(2, CONTAINER_STATE_RUNNING),
        "terminated": Field(3, CONTAINER_STATE_TERMINATED),
    },
)


VOLUME_MOUNT_STATUS = Struct(
    "io.k8s.api.core.v1.VolumeMountStatus",
    {
        "name": Field(1, STRING),
        "mountPath": Field(2, STRING),
        "readOnly": Field(3, BOOLEAN),
        "recursiveReadOnly": Field(4, STRING),
    },
)


LINUX_CONTAINER_USER = Struct(
    "io.k8s.api.core.v1.LinuxContainerUser",
    {
        "uid": Field(1, INTEGER64),
        "gid": Field(2, INTEGER64),
        "supplementalGroups": Field(3, List(INTEGER64)),
    },
)


CONTAINER_USER = Struct(
    "io.k8s.api.core.v1.ContainerUser",
    {
        "linux": Field(1, LINUX_CONTAINER_USER),
    },
)


CONTAINER_STATUS = Struct(
    "io.k8s.api.core.v1.ContainerStatus",
    {
        "name": Field(1, STRING),
        "state": Field(2, CONTAINER_STATE),
        "lastState": Field(3, CONTAINER_STATE),
        "ready": Field(4, BOOLEAN),
        "restartCount": Field(5, INTEGER),
        "image": Field(6, STRING),
        "imageID": Field(7, STRING),
        "containerID": Field(8, STRING),
        "started": Field(9, BOOLEAN),
        "resources": Field(11, RESOURCE_REQUIREMENTS),
        "volumeMounts": Field(12, List(VOLUME_MOUNT_STATUS, keys=("mountPath",)), patch="merge", merge_key="mountPath"),
        "user": Field(13, CONTAINER_USER),
        "stopSignal": Field(15, STRING),
    },
)


POD_STATUS = Struct(
    "io.k8s.api.core.v1.PodStatus",
    {
        "observedGeneration": Field(17, INTEGER64),
        "phase": Field(1, STRING, enum=("Pending", "Running", "Succeeded", "Failed", "Unknown")),
        "conditions": Field(2, List(POD_CONDITION, keys=("type",)), patch="merge", merge_key="type"),
        "message": Field(3, STRING),
        "reason": Field(4, STRING),
        "nominatedNodeName": Field(11, STRING),
        "hostIP": Field(5, STRING),
        "hostIPs": Field(16, List(HOST_IP), patch="merge", merge_key="ip"),
        "podIP": Field(6, STRING),
        "podIPs": Field(12, List(POD_IP, keys=("ip",)), patch="merge", merge_key="ip"),
        "startTime": Field(7, TIME),
        "initContainerStatuses": Field(10, List(CONTAINER_STATUS)),
        "containerStatuses": Field(8, List(CONTAINER_STATUS)),
        "qosClass": Field(9, STRING),
        "resize": Field(14, STRING),
    },
)
