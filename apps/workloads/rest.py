"""Workloads for scripts, under /rest/v1/: deploy with one POST, scale, restart, roll back; why a pod is where it is.

Each view checks nothing itself: who may do what is decided by apps.access in the words of the Kubernetes resource
behind it (whoever may patch deployments may restart them here), what it means by `verbs`.
"""

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access.rest import identity_of
from apps.events.models import StepTiming
from apps.kinds.status import Forbidden, NotFound
from apps.scheduling.models import Placement
from apps.store import read
from apps.store.rows import Origin, Stored
from apps.workloads import verbs
from apps.workloads.logic.seen import REVISION

DEPLOYMENTS = "deployments.apps"
Asked = tuple[str, str, str, str, str]


def origin_of(request: Request) -> Origin:
    """Return who writes, for the log of revisions."""
    identity = identity_of(request)
    if identity is None:  # the permission class has let nobody pass
        raise Forbidden("nobody is signed in")
    return Origin(identity.name)


class PortSerializer(serializers.Serializer[Any]):
    """A port of a new workload."""

    port = serializers.IntegerField(min_value=1, max_value=65535)
    publish = serializers.BooleanField(default=False, help_text="open it on every node")


class WorkloadSerializer(serializers.Serializer[Any]):
    """What a new workload needs."""

    name = serializers.CharField(max_length=63)
    image = serializers.CharField(max_length=500)
    replicas = serializers.IntegerField(min_value=0, max_value=10_000, default=1)
    ports = PortSerializer(many=True, default=list)
    command = serializers.ListField(child=serializers.CharField(trim_whitespace=False), default=list)
    env = serializers.DictField(child=serializers.CharField(allow_blank=True, trim_whitespace=False), default=dict)
    cpu = serializers.CharField(default="", allow_blank=True, help_text="as in 500m or 1.5")
    memory = serializers.CharField(default="", allow_blank=True, help_text="as in 128Mi or 1Gi")

    def wanted(self) -> verbs.Deploy:
        """Return the validated data for `verbs.deploy`."""
        data = self.validated_data
        return verbs.Deploy(
            name=data["name"],
            image=data["image"],
            replicas=data["replicas"],
            ports=[verbs.Port(port["port"], port["publish"]) for port in data["ports"]],
            command=data["command"],
            env=list(data["env"].items()),
            cpu=data["cpu"],
            memory=data["memory"],
        )


class DeployedSerializer(serializers.Serializer[Any]):
    """A workload as it is listed."""

    name = serializers.CharField()
    namespace = serializers.CharField()
    images = serializers.ListField(child=serializers.CharField())
    replicas = serializers.IntegerField()
    ready = serializers.IntegerField()
    updated = serializers.IntegerField()
    paused = serializers.BooleanField()
    revision = serializers.IntegerField()
    created = serializers.CharField()
    services = serializers.ListField(child=serializers.DictField(), required=False)


class RevisionSerializer(serializers.Serializer[Any]):
    """One revision that can be rolled back to."""

    number = serializers.IntegerField()
    name = serializers.CharField(help_text="the replica set that keeps it")
    current = serializers.BooleanField()
    replicas = serializers.IntegerField()
    images = serializers.ListField(child=serializers.CharField())
    cause = serializers.CharField(allow_blank=True)
    created = serializers.CharField()


class ScaleSerializer(serializers.Serializer[Any]):
    replicas = serializers.IntegerField(min_value=0, max_value=10_000)


class RollBackSerializer(serializers.Serializer[Any]):
    revision = serializers.IntegerField(min_value=0, default=0, help_text="0: the one before the present")


class ImageSerializer(serializers.Serializer[Any]):
    image = serializers.CharField(max_length=500)
    container = serializers.CharField(default="", allow_blank=True, help_text="may be left out when there is only one")


class PlacementSerializer(serializers.ModelSerializer[Placement]):
    """What the scheduler found for one node."""

    class Meta:
        model = Placement
        fields = ["node", "passed", "chosen", "filter", "reason", "asked", "free", "score", "time"]


class StepSerializer(serializers.ModelSerializer[StepTiming]):
    """How long one step of a start took."""

    class Meta:
        model = StepTiming
        fields = ["container", "attempt", "name", "started", "milliseconds"]


class WorkloadsView(APIView):
    """Deployments of a namespace: list them, make one with its Service."""

    def required(self, request: Request) -> Asked:
        return ("create" if request.method == "POST" else "list", DEPLOYMENTS, self.kwargs["namespace"], "", "")

    @extend_schema(responses=DeployedSerializer(many=True), summary="List the workloads of a namespace")
    def get(self, request: Request, namespace: str) -> Response:
        return Response({"items": [summary(stored) for stored in read.list_objects("Deployment", namespace).items]})

    @extend_schema(
        request=WorkloadSerializer, responses={201: DeployedSerializer}, summary="Deploy an image with its Service"
    )
    def post(self, request: Request, namespace: str) -> Response:
        asked = WorkloadSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        deployment, services = verbs.deploy(namespace, asked.wanted(), origin_of(request))
        answer = summary(deployment) | {"services": [_service(service) for service in services]}
        return Response(answer, status=status.HTTP_201_CREATED)


class DeploymentView(APIView):
    """Base of the verbs on one Deployment; whoever may patch it may do them."""

    def required(self, request: Request) -> Asked:
        verb = "get" if request.method in ("GET", "HEAD", "OPTIONS") else "patch"
        return (verb, DEPLOYMENTS, self.kwargs["namespace"], self.kwargs["name"], "")


class ScaleView(DeploymentView):
    def required(self, request: Request) -> Asked:
        return (*super().required(request)[:4], "scale")

    @extend_schema(request=ScaleSerializer, responses=DeployedSerializer, summary="Set the number of replicas")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        replicas = _validated(ScaleSerializer, request)["replicas"]
        return Response(summary(verbs.scale("Deployment", namespace, name, replicas, origin_of(request))))


class RestartView(DeploymentView):
    @extend_schema(request=None, responses=DeployedSerializer, summary="Replace all pods, a few at a time")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        return Response(summary(verbs.restart(namespace, name, origin_of(request))))


class RollBackView(DeploymentView):
    @extend_schema(request=RollBackSerializer, responses=DeployedSerializer, summary="Go back to an earlier revision")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        revision = _validated(RollBackSerializer, request)["revision"]
        return Response(summary(verbs.roll_back(namespace, name, origin_of(request), revision=revision)))


class PauseView(DeploymentView):
    @extend_schema(request=None, responses=DeployedSerializer, summary="Let changes of the template wait")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        return Response(summary(verbs.pause(namespace, name, origin_of(request))))


class ResumeView(DeploymentView):
    @extend_schema(request=None, responses=DeployedSerializer, summary="Roll out what has changed since the pause")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        return Response(summary(verbs.resume(namespace, name, origin_of(request))))


class ImageView(DeploymentView):
    @extend_schema(request=ImageSerializer, responses=DeployedSerializer, summary="Change the image of a container")
    def post(self, request: Request, namespace: str, name: str) -> Response:
        data = _validated(ImageSerializer, request)
        changed = verbs.set_image(namespace, name, data["image"], origin_of(request), container=data["container"])
        return Response(summary(changed))


class RevisionsView(DeploymentView):
    @extend_schema(responses=RevisionSerializer(many=True), summary="List the revisions that can be rolled back to")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        return Response({"items": RevisionSerializer(verbs.revisions(namespace, name), many=True).data})


class DeleteView(DeploymentView):
    def required(self, request: Request) -> Asked:
        return ("delete", DEPLOYMENTS, self.kwargs["namespace"], self.kwargs["name"], "")

    @extend_schema(responses={200: OpenApiTypes.OBJECT}, summary="Delete a workload and what it owns")
    def delete(self, request: Request, namespace: str, name: str) -> Response:
        verbs.delete("Deployment", namespace, name, origin_of(request))
        return Response({"deleted": f"{namespace}/{name}"})


class PodView(APIView):
    """Base of what is told about one pod; whoever may get it may see this."""

    def required(self, request: Request) -> Asked:
        return ("get", "pods", self.kwargs["namespace"], self.kwargs["name"], "")

    def pod(self) -> Stored:
        """Return the pod or answer 404."""
        stored = read.get("Pod", self.kwargs["namespace"], self.kwargs["name"])
        if stored is None:
            raise NotFound.of("pods", self.kwargs["name"])
        return stored


class PlacementView(PodView):
    @extend_schema(responses=PlacementSerializer(many=True), summary="Why the pod is on its node, or on none")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        rows = Placement.objects.filter(pod_uid=self.pod().uid)
        return Response({"items": PlacementSerializer(rows, many=True).data})


class StepsView(PodView):
    @extend_schema(responses=StepSerializer(many=True), summary="How long each step of the pod's start took")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        rows = StepTiming.objects.filter(pod_uid=self.pod().uid)
        return Response({"items": StepSerializer(rows, many=True).data})


def summary(stored: Stored) -> dict[str, Any]:
    """Return a Deployment as scripts want it: flat and short."""
    deployment = stored.object
    metadata, spec, state = deployment["metadata"], deployment["spec"], deployment.get("status") or {}
    revision = (metadata.get("annotations") or {}).get(REVISION, "0")
    return {
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "images": [container.get("image", "") for container in spec["template"]["spec"]["containers"]],
        "replicas": spec.get("replicas", 1),
        "ready": state.get("readyReplicas", 0),
        "updated": state.get("updatedReplicas", 0),
        "paused": bool(spec.get("paused")),
        "revision": int(revision) if revision.isdigit() else 0,
        "created": metadata["creationTimestamp"],
    }


def _service(stored: Stored) -> dict[str, Any]:
    service = stored.object
    spec = service["spec"]
    ports = [{key: port[key] for key in ("port", "nodePort") if key in port} for port in spec.get("ports") or ()]
    return {"name": service["metadata"]["name"], "type": spec["type"], "address": spec.get("clusterIP"), "ports": ports}


def _validated(serializer: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    asked = serializer(data=request.data)
    asked.is_valid(raise_exception=True)
    data: dict[str, Any] = asked.validated_data
    return data
