"""Addresses of workloads under /rest/v1/; included by `dashboard.urls`."""

from django.urls import path

from apps.workloads import rest

_ONE = "namespaces/<str:namespace>/deployments/<str:name>"

urlpatterns = [
    path("namespaces/<str:namespace>/workloads", rest.WorkloadsView.as_view(), name="workloads"),
    path(_ONE, rest.DeleteView.as_view(), name="deployment"),
    path(f"{_ONE}/scale", rest.ScaleView.as_view(), name="deployment-scale"),
    path(f"{_ONE}/restart", rest.RestartView.as_view(), name="deployment-restart"),
    path(f"{_ONE}/roll_back", rest.RollBackView.as_view(), name="deployment-roll-back"),
    path(f"{_ONE}/pause", rest.PauseView.as_view(), name="deployment-pause"),
    path(f"{_ONE}/resume", rest.ResumeView.as_view(), name="deployment-resume"),
    path(f"{_ONE}/image", rest.ImageView.as_view(), name="deployment-image"),
    path(f"{_ONE}/revisions", rest.RevisionsView.as_view(), name="deployment-revisions"),
    path("namespaces/<str:namespace>/pods/<str:name>/placement", rest.PlacementView.as_view(), name="pod-placement"),
    path("namespaces/<str:namespace>/pods/<str:name>/steps", rest.StepsView.as_view(), name="pod-steps"),
]
