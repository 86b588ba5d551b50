"""The specification of a pod, and the template from which workloads make pods."""

from apps.kinds import rules
from apps.kinds.schema import BOOLEAN, INTEGER, INTEGER64, QUANTITY, STRING, Field, List, Map, Struct
from apps.kinds.shapes.containers import CONTAINER, RESOURCE_REQUIREMENTS
from apps.kinds.shapes.meta import OBJECT_META
from apps.kinds.shapes.placement import AFFINITY, TOLERATION, TOPOLOGY_SPREAD_CONSTRAINT
from apps.kinds.shapes.references import LOCAL_OBJECT_REFERENCE
from apps.kinds.shapes.security import POD_SECURITY_CONTEXT
from apps.kinds.shapes.volumes import VOLUME

HOST_ALIAS = Struct(
    "io.k8s.api.core.v1.HostAlias",
    {
        "ip": Field(1, STRING, required=True, check=rules.ip_address),
        "hostnames": Field(2, List(STRING)),
    },
)


POD_DNS_CONFIG_OPTION = Struct(
    "io.k8s.api.core.v1.PodDNSConfigOption",
    {
        "name": Field(1, STRING),
        "value": Field(2, STRING),
    },
)


POD_DNS_CONFIG = Struct(
    "io.k8s.api.core.v1.PodDNSConfig",
    {
        "nameservers": Field(1, List(STRING)),
        "searches": Field(2, List(STRING)),
        "options": Field(3, List(POD_DNS_CONFIG_OPTION)),
    },
)


POD_READINESS_GATE = Struct(
    "io.k8s.api.core.v1.PodReadinessGate",
    {
        "conditionType": Field(1, STRING, required=True, check=rules.label_key),
    },
)


POD_OS = Struct(
    "io.k8s.api.core.v1.PodOS",
    {
        "name": Field(1, STRING, required=True, enum=("linux", "windows")),
    },
)


POD_SCHEDULING_GATE = Struct(
    "io.k8s.api.core.v1.PodSchedulingGate",
    {
        "name": Field(1, STRING, required=True),
    },
)


POD_SPEC = Struct(
    "io.k8s.api.core.v1.PodSpec",
    {
        "volumes": Field(1, List(VOLUME, keys=("name",)), patch="merge,retainKeys", merge_key="name"),
        "initContainers": Field(20, List(CONTAINER, keys=("name",)), patch="merge", merge_key="name"),
        "containers": Field(2, List(CONTAINER, keys=("name",)), patch="merge", merge_key="name", required=True),
        "restartPolicy": Field(3, STRING, enum=("Always", "OnFailure", "Never"), default="Always"),
        "terminationGracePeriodSeconds": Field(4, INTEGER64, check=rules.non_negative, default=30),
        "activeDeadlineSeconds": Field(5, INTEGER64, check=rules.positive, not_acted_on=True),
        "dnsPolicy": Field(
            6, STRING, enum=("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"), default="ClusterFirst"
        ),
        "nodeSelector": Field(7, Map(STRING, check_key=rules.label_key, check_value=rules.label_value)),
        "serviceAccountName": Field(8, STRING, check=rules.dns_subdomain),
        "serviceAccount": Field(9, STRING),
        "automountServiceAccountToken": Field(21, BOOLEAN),
        "nodeName": Field(10, STRING, check=rules.dns_subdomain),
        "hostNetwork": Field(11, BOOLEAN),
        "hostPID": Field(12, BOOLEAN),
        "hostIPC": Field(13, BOOLEAN),
        "shareProcessNamespace": Field(27, BOOLEAN),
        "securityContext": Field(14, POD_SECURITY_CONTEXT, default={}),
        "imagePullSecrets": Field(
            15, List(LOCAL_OBJECT_REFERENCE, keys=("name",)), patch="merge", merge_key="name", not_acted_on=True
        ),
        "hostname": Field(16, STRING, check=rules.dns_label),
        "subdomain": Field(17, STRING, check=rules.dns_label),
        "affinity": Field(18, AFFINITY),
        "schedulerName": Field(19, STRING, default="default-scheduler", check=rules.dns_subdomain, not_acted_on=True),
        "tolerations": Field(22, List(TOLERATION)),
        "hostAliases": Field(23, List(HOST_ALIAS, keys=("ip",)), patch="merge", merge_key="ip"),
        "priorityClassName": Field(24, STRING, not_acted_on=True),
        "priority": Field(25, INTEGER, not_acted_on=True),
        "dnsConfig": Field(26, POD_DNS_CONFIG),
        "readinessGates": Field(28, List(POD_READINESS_GATE), not_acted_on=True),
        "runtimeClassName": Field(29, STRING, not_acted_on=True),
        "enableServiceLinks": Field(30, BOOLEAN),
        "preemptionPolicy": Field(31, STRING, enum=("Never", "PreemptLowerPriority")),
        "overhead": Field(32, Map(QUANTITY), not_acted_on=True),
        "topologySpreadConstraints": Field(
            33,
            List(
                TOPOLOGY_SPREAD_CONSTRAINT,
                keys=(
                    "topologyKey",
                    "whenUnsatisfiable",
                ),
            ),
            patch="merge",
            merge_key="topologyKey",
            not_acted_on=True,
        ),
        "setHostnameAsFQDN": Field(35, BOOLEAN, not_acted_on=True),
        "os": Field(36, POD_OS, not_acted_on=True),
        "hostUsers": Field(37, BOOLEAN, not_acted_on=True),
        "schedulingGates": Field(
            38, List(POD_SCHEDULING_GATE, keys=("name",)), patch="merge", merge_key="name", not_acted_on=True
        ),
        "resources": Field(40, RESOURCE_REQUIREMENTS, not_acted_on=True),
        "hostnameOverride": Field(41, STRING, not_acted_on=True),
    },
)


POD_TEMPLATE_SPEC = Struct(
    "io.k8s.api.core.v1.PodTemplateSpec",
    {
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, POD_SPEC, required=True),
    },
)
