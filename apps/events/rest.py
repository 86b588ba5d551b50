"""POST /rest/v1/steps: a node tells how long each step of a container's start took.

The timings of one pod are read under /rest/v1/namespaces/NS/pods/NAME/steps (`apps.workloads.rest`).
"""

from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import exceptions, serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.rest import identity_of
from apps.events.models import StepTiming
from apps.store import read
from apps.store.rows import Origin
from apps.store.transaction import commit


class Moment(serializers.DateTimeField):
    """A time as RFC 3339, or as seconds since 1970."""

    def to_internal_value(self, value: Any) -> datetime:
        if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11:
            return datetime.fromtimestamp(value, UTC)
        found: datetime = super().to_internal_value(value)
        return found


class StepSerializer(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=64)
    started = Moment()
    milliseconds = serializers.FloatField(min_value=0, max_value=1e8)


class StepsSerializer(serializers.Serializer[Any]):
    uid = serializers.CharField(max_length=36)
    namespace = serializers.CharField(max_length=63)
    name = serializers.CharField(max_length=253)
    container = serializers.CharField(max_length=63, default="", allow_blank=True)
    attempt = serializers.IntegerField(min_value=0, default=0)
    steps = serializers.ListField(child=StepSerializer(), max_length=100)


class StepsView(APIView):
    """Timings of one start; told twice they count once."""

    resource = "steps"

    @extend_schema(request=StepsSerializer, responses={204: None}, summary="Record the timings of a container's start")
    def post(self, request: Request) -> Response:
        asked = StepsSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        told = asked.validated_data
        _check_node(request, told)
        identity = identity_of(request)
        commit(lambda _: record_steps(told), Origin(identity.name if identity else ""))
        return Response(status=status.HTTP_204_NO_CONTENT)


def record_steps(told: dict[str, Any]) -> None:
    """Write the rows; called in a transaction of the store, which groups them with others."""
    StepTiming.objects.bulk_create(
        [
            StepTiming(
                pod_uid=told["uid"],
                namespace=told["namespace"],
                pod_name=told["name"],
                container=told["container"],
                attempt=told["attempt"],
                **step,
            )
            for step in told["steps"]
        ],
        ignore_conflicts=True,
    )


def _check_node(request: Request, told: dict[str, Any]) -> None:
    """A node speaks only for the pods that are bound to it."""
    identity = identity_of(request)
    node = identity.node_name if identity else ""
    if not node:
        return
    pod = read.get("Pod", told["namespace"], told["name"])
    if pod is None or pod.uid != told["uid"] or pod.object["spec"].get("nodeName") != node:
        raise exceptions.PermissionDenied(f'pod "{told["name"]}" is not bound to node "{node}"')
