"""Where a pod may run: node selectors, affinity, taints, tolerations, spreading. Used by pod and node."""

from apps.kinds import rules
from apps.kinds.schema import INTEGER, INTEGER64, STRING, TIME, Field, List, Struct
from apps.kinds.shapes.meta import LABEL_SELECTOR

NODE_SELECTOR_REQUIREMENT = Struct(
    "io.k8s.api.core.v1.NodeSelectorRequirement",
    {
        "key": Field(1, STRING, required=True, check=rules.label_key),
        "operator": Field(2, STRING, required=True, enum=("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")),
        "values": Field(3, List(STRING)),
    },
)


NODE_SELECTOR_TERM = Struct(
    "io.k8s.api.core.v1.NodeSelectorTerm",
    {
        "matchExpressions": Field(1, List(NODE_SELECTOR_REQUIREMENT)),
        "matchFields": Field(2, List(NODE_SELECTOR_REQUIREMENT)),
    },
)


NODE_SELECTOR = Struct(
    "io.k8s.api.core.v1.NodeSelector",
    {
        "nodeSelectorTerms": Field(1, List(NODE_SELECTOR_TERM), required=True),
    },
)


PREFERRED_SCHEDULING_TERM = Struct(
    "io.k8s.api.core.v1.PreferredSchedulingTerm",
    {
        "weight": Field(1, INTEGER, required=True, check=rules.weight),
        "preference": Field(2, NODE_SELECTOR_TERM, required=True),
    },
)


NODE_AFFINITY = Struct(
    "io.k8s.api.core.v1.NodeAffinity",
    {
        "requiredDuringSchedulingIgnoredDuringExecution": Field(1, NODE_SELECTOR),
        "preferredDuringSchedulingIgnoredDuringExecution": Field(2, List(PREFERRED_SCHEDULING_TERM), not_acted_on=True),
    },
)


POD_AFFINITY_TERM = Struct(
    "io.k8s.api.core.v1.PodAffinityTerm",
    {
        "labelSelector": Field(1, LABEL_SELECTOR),
        "namespaces": Field(2, List(STRING)),
        "topologyKey": Field(3, STRING, required=True, check=rules.label_key),
        "namespaceSelector": Field(4, LABEL_SELECTOR),
        "matchLabelKeys": Field(5, List(STRING)),
        "mismatchLabelKeys": Field(6, List(STRING)),
    },
)


WEIGHTED_POD_AFFINITY_TERM = Struct(
    "io.k8s.api.core.v1.WeightedPodAffinityTerm",
    {
        "weight": Field(1, INTEGER, required=True, check=rules.weight),
        "podAffinityTerm": Field(2, POD_AFFINITY_TERM, required=True),
    },
)


POD_AFFINITY = Struct(
    "io.k8s.api.core.v1.PodAffinity",
    {
        "requiredDuringSchedulingIgnoredDuringExecution": Field(1, List(POD_AFFINITY_TERM)),
        "preferredDuringSchedulingIgnoredDuringExecution": Field(2, List(WEIGHTED_POD_AFFINITY_TERM)),
    },
)


POD_ANTI_AFFINITY = Struct(
    "io.k8s.api.core.v1.PodAntiAffinity",
    {
        "requiredDuringSchedulingIgnoredDuringExecution": Field(1, List(POD_AFFINITY_TERM)),
        "preferredDuringSchedulingIgnoredDuringExecution": Field(2, List(WEIGHTED_POD_AFFINITY_TERM)),
    },
)


AFFINITY = Struct(
    "io.k8s.api.core.v1.Affinity",
    {
        "nodeAffinity": Field(1, NODE_AFFINITY),
        "podAffinity": Field(2, POD_AFFINITY, not_acted_on=True),
        "podAntiAffinity": Field(3, POD_ANTI_AFFINITY, not_acted_on=True),
    },
)


TOLERATION = Struct(
    "io.k8s.api.core.v1.Toleration",
    {
        "key": Field(1, STRING, check=rules.label_key),
        "operator": Field(2, STRING, enum=("Exists", "Equal")),
        "value": Field(3, STRING),
        "effect": Field(4, STRING, enum=("", "NoSchedule", "PreferNoSchedule", "NoExecute")),
        "tolerationSeconds": Field(5, INTEGER64),
    },
)


TOPOLOGY_SPREAD_CONSTRAINT = Struct(
    "io.k8s.api.core.v1.TopologySpreadConstraint",
    {
        "maxSkew": Field(1, INTEGER, required=True, check=rules.positive),
        "topologyKey": Field(2, STRING, required=True),
        "whenUnsatisfiable": Field(3, STRING, required=True, enum=("DoNotSchedule", "ScheduleAnyway")),
        "labelSelector": Field(4, LABEL_SELECTOR),
        "minDomains": Field(5, INTEGER),
        "nodeAffinityPolicy": Field(6, STRING),
        "nodeTaintsPolicy": Field(7, STRING),
        "matchLabelKeys": Field(8, List(STRING)),
    },
)


TAINT = Struct(
    "io.k8s.api.core.v1.Taint",
    {
        "key": Field(1, STRING, required=True, check=rules.label_key),
        "value": Field(2, STRING, check=rules.label_value),
        "effect": Field(3, STRING, required=True, enum=("NoSchedule", "PreferNoSchedule", "NoExecute")),
        "timeAdded": Field(4, TIME),
    },
)
