"""Addresses of this app, included under /rest/v1/."""

from django.urls import path

from apps.images import rest

urlpatterns = [
    path("images", rest.ImagesView.as_view(), name="images"),
    path("images/resolve", rest.ResolveView.as_view(), name="images-resolve"),
    path("images/pull", rest.PullView.as_view(), name="images-pull"),
    path("images/import", rest.ImportView.as_view(), name="images-import"),
    path("blobs/<str:digest>", rest.BlobView.as_view(), name="blob"),
]
