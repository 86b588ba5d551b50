"""Typed rows of the workload kinds; filled by the store in the commit that writes the object."""

from apps.workloads.models.deployment import Deployment
from apps.workloads.models.pod import Pod
from apps.workloads.models.replica_set import ReplicaSet

__all__ = ["Deployment", "Pod", "ReplicaSet"]
