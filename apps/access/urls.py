"""Addresses of signing in and of API tokens; included at the root by `dashboard.urls`."""

from django.urls import path

from apps.access import rest_views, views

app_name = "access"
urlpatterns = [
    path("accounts/signin/<str:secret>", views.SignInLinkView.as_view(), name="signin-link"),
    path("accounts/login/", views.SignInView.as_view(), name="login"),
    path("accounts/logout/", views.SignOutView.as_view(), name="logout"),
    path("accounts/password/", views.password, name="password"),
    path("rest/v1/tokens", rest_views.TokensView.as_view(), name="tokens"),
    path("rest/v1/tokens/<int:pk>", rest_views.TokenView.as_view(), name="token"),
]
