"""Probes and lifecycle hooks of a container. Part of the description of the container."""

from apps.kinds import rules
from apps.kinds.schema import INT_OR_STRING, INTEGER, INTEGER64, STRING, Field, List, Struct

EXEC_ACTION = Struct(
    "io.k8s.api.core.v1.ExecAction",
    {
        "command": Field(1, List(STRING), required=True),
    },
)


HTTP_HEADER = Struct(
    "io.k8s.api.core.v1.HTTPHeader",
    {
        "name": Field(1, STRING, required=True, check=rules.header_name),
        "value": Field(2, STRING),
    },
)


HTTP_GET_ACTION = Struct(
    "io.k8s.api.core.v1.HTTPGetAction",
    {
        "path": Field(1, STRING, default="/"),
        "port": Field(2, INT_OR_STRING, required=True, check=rules.port_or_name),
        "host": Field(3, STRING),
        "scheme": Field(4, STRING, enum=("HTTP", "HTTPS"), default="HTTP"),
        "httpHeaders": Field(5, List(HTTP_HEADER)),
    },
)


TCP_SOCKET_ACTION = Struct(
    "io.k8s.api.core.v1.TCPSocketAction",
    {
        "port": Field(1, INT_OR_STRING, required=True, check=rules.port_or_name),
        "host": Field(2, STRING),
    },
)


GRPC_ACTION = Struct(
    "io.k8s.api.core.v1.GRPCAction",
    {
        "port": Field(1, INTEGER, required=True, check=rules.port),
        "service": Field(2, STRING, default=""),
    },
)


PROBE = Struct(
    "io.k8s.api.core.v1.Probe",
    {
        "exec": Field((1, 1), EXEC_ACTION),
        "httpGet": Field((1, 2), HTTP_GET_ACTION),
        "tcpSocket": Field((1, 3), TCP_SOCKET_ACTION),
        "grpc": Field((1, 4), GRPC_ACTION, not_acted_on=True),
        "initialDelaySeconds": Field(2, INTEGER, check=rules.non_negative),
        "timeoutSeconds": Field(3, INTEGER, check=rules.non_negative, omit_zero=True, default=1),
        "periodSeconds": Field(4, INTEGER, check=rules.non_negative, omit_zero=True, default=10),
        "successThreshold": Field(5, INTEGER, check=rules.non_negative, omit_zero=True, default=1),
        "failureThreshold": Field(6, INTEGER, check=rules.non_negative, omit_zero=True, default=3),
        "terminationGracePeriodSeconds": Field(7, INTEGER64, check=rules.positive),
    },
)


SLEEP_ACTION = Struct(
    "io.k8s.api.core.v1.SleepAction",
    {
        "seconds": Field(1, INTEGER64, check=rules.non_negative),
    },
)


LIFECYCLE_HANDLER = Struct(
    "io.k8s.api.core.v1.LifecycleHandler",
    {
        "exec": Field(1, EXEC_ACTION),
        "httpGet": Field(2, HTTP_GET_ACTION),
        "tcpSocket": Field(3, TCP_SOCKET_ACTION),
        "sleep": Field(4, SLEEP_ACTION),
    },
)


LIFECYCLE = Struct(
    "io.k8s.api.core.v1.Lifecycle",
    {
        "postStart": Field(1, LIFECYCLE_HANDLER),
        "preStop": Field(2, LIFECYCLE_HANDLER),
        "stopSignal": Field(3, STRING, not_acted_on=True),
    },
)
