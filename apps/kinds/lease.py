"""Lease: who leads, and the heartbeat of a node."""

from datetime import datetime

from apps.kinds import cells, rules
from apps.kinds.kind import Cell, Column, Kind, Object
from apps.kinds.schema import INTEGER, MICRO_TIME, STRING, Field, Struct
from apps.kinds.shapes.meta import OBJECT_META, TYPE_META

LEASE_SPEC = Struct(
    "io.k8s.api.coordination.v1.LeaseSpec",
    {
        "holderIdentity": Field(1, STRING),
        "leaseDurationSeconds": Field(2, INTEGER, check=rules.positive),
        "acquireTime": Field(3, MICRO_TIME),
        "renewTime": Field(4, MICRO_TIME),
        "leaseTransitions": Field(5, INTEGER, check=rules.non_negative),
        "strategy": Field(6, STRING),
        "preferredHolder": Field(7, STRING),
    },
)


SCHEMA = Struct(
    "io.k8s.api.coordination.v1.Lease",
    {
        **TYPE_META,
        "metadata": Field(1, OBJECT_META),
        "spec": Field(2, LEASE_SPEC),
    },
)


def _holder(lease: Object, _now: datetime) -> Cell:
    return str(lease.get("spec", {}).get("holderIdentity", ""))


LEASE = Kind(
    kind="Lease",
    group="coordination.k8s.io",
    version="v1",
    plural="leases",
    singular="lease",
    schema=SCHEMA,
    columns=(cells.NAME, Column("Holder", _holder, description="Who holds the lease."), cells.AGE),
)
