"""/rest/v1/tokens: everybody's own API tokens; those of others for who may administer users."""

from datetime import timedelta
from typing import Any

from django.shortcuts import get_object_or_404
from drf_spectacular.utils import extend_schema
from rest_framework import serializers, status
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.access import identity
from apps.access.authorize import authorize
from apps.access.models import Token, User
from apps.access.rest import identity_of
from apps.access.tokens import make_token
from apps.kinds.status import Forbidden


class TokenSerializer(serializers.ModelSerializer[Token]):
    """A token as it is listed: what it begins with, never the secret."""

    user = serializers.CharField(source="user.username", read_only=True)

    class Meta:
        model = Token
        fields = ["id", "name", "prefix", "user", "created", "expires"]


class NewTokenSerializer(serializers.Serializer[Any]):
    """What is asked for."""

    name = serializers.CharField(max_length=100)
    days = serializers.IntegerField(min_value=1, max_value=3650, required=False, allow_null=True)
    user = serializers.CharField(max_length=150, required=False)


class CreatedTokenSerializer(TokenSerializer):
    """The answer to a creation; the only place where the secret is seen."""

    token = serializers.CharField(read_only=True)

    class Meta(TokenSerializer.Meta):
        fields = [*TokenSerializer.Meta.fields, "token"]


class TokensView(APIView):
    """List and create."""

    resource = "tokens"

    @extend_schema(responses=TokenSerializer(many=True), description="Your API tokens; all of them for administrators.")
    def get(self, request: Request) -> Response:
        return Response(TokenSerializer(_visible(request), many=True).data)

    @extend_schema(request=NewTokenSerializer, responses={201: CreatedTokenSerializer})
    def post(self, request: Request) -> Response:
        asked = NewTokenSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        days = asked.validated_data.get("days")
        owner = _owner(request, asked.validated_data.get("user", ""))
        token, secret = make_token(owner, asked.validated_data["name"], timedelta(days=days) if days else None)
        return Response({**TokenSerializer(token).data, "token": secret}, status=status.HTTP_201_CREATED)


class TokenView(APIView):
    """One token."""

    resource = "tokens"

    @extend_schema(responses={204: None})
    def delete(self, request: Request, pk: int) -> Response:
        get_object_or_404(_visible(request), pk=pk).delete()
        identity.forget()
        return Response(status=status.HTTP_204_NO_CONTENT)


def _administers(request: Request) -> bool:
    asker = identity_of(request)
    return asker is not None and authorize(asker, "update", "users").allowed


def _visible(request: Request) -> Any:
    tokens = Token.objects.select_related("user")
    return tokens if _administers(request) else tokens.filter(user_id=request.user.pk or 0)


def _owner(request: Request, name: str) -> User:
    """Whose token it shall be: one's own, or that of another for administrators."""
    asker = identity_of(request)
    if name and asker is not None and name != asker.name:
        owner = User.objects.filter(username=name).first() if _administers(request) else None
    else:
        owner = User.objects.filter(pk=request.user.pk or 0).first()
    if owner is None:
        raise Forbidden(f'tokens is forbidden: no user "{name or request.user}" whose tokens you may make')
    if owner.is_superuser and asker is not None and identity.MASTERS not in asker.groups:
        raise Forbidden("tokens is forbidden: only a superuser makes tokens of a superuser")
    return owner
