"""selfsubjectaccessreviews and selfsubjectrulesreviews: what may I do? `kubectl auth can-i` asks them."""

from typing import Any

from apps.access.authorize import authorize_async
from apps.access.identity import Identity
from apps.api.asgi import Send
from apps.api.bodies import decode_object
from apps.api.errors import bad_request
from apps.api.request import Request
from apps.api.responses import send_data
from apps.kinds.kind import Kind
from apps.kinds.registry import KINDS

Json = dict[str, Any]
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


async def review_access(request: Request, send: Send) -> None:
    """Answer whether the asker may do one thing."""
    review = await _read(request)
    spec = review["spec"]
    attributes, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if isinstance(attributes, dict):
        allowed, reason = await _decide(request.identity, attributes)
    elif isinstance(path, dict):
        allowed, reason = str(path.get("verb", "")).lower() == "get", ""
    else:
        raise bad_request("spec: exactly one of resourceAttributes or nonResourceAttributes must be specified")
    status: Json = {"allowed": allowed} | ({"reason": reason} if reason else {})
    await send_data(request, send, _answer("SelfSubjectAccessReview", spec, status), 201)


async def review_rules(request: Request, send: Send) -> None:
    """Answer all that the asker may do in one namespace."""
    spec = (await _read(request))["spec"]
    namespace = _text(spec, "namespace")
    rules = [rule for kind in KINDS for rule in await _rules(request.identity, kind, namespace)]
    status = {
        "resourceRules": rules,
        "nonResourceRules": [
            {"verbs": ["get"], "nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez"]},
            {"verbs": ["get"], "nonResourceURLs": ["/openapi", "/openapi/*", "/readyz", "/version"]},
        ],
        "incomplete": False,
    }
    await send_data(request, send, _answer("SelfSubjectRulesReview", spec, status), 201)


async def _read(request: Request) -> Json:
    review, _ = decode_object(await request.body(), request.header(b"content-type"))
    if not isinstance(review.get("spec"), dict):
        raise bad_request(
            'spec: Required value: what is asked for, as in {"resourceAttributes": {"verb": "get", "resource": "pods"}}'
        )
    return review


def _answer(kind: str, spec: Json, status: Json) -> Json:
    return {
        "kind": kind,
        "apiVersion": "authorization.k8s.io/v1",
        "metadata": {"creationTimestamp": None},
        "spec": spec,
        "status": status,
    }


def _text(mapping: Json, key: str) -> str:
    value = mapping.get(key, "")
    if not isinstance(value, str):
        raise bad_request(f"spec: {key} would be a text")
    return value


async def _decide(identity: Identity, attributes: Json) -> tuple[bool, str]:
    group, plural = _text(attributes, "group"), _text(attributes, "resource")
    resource = f"{plural}.{group}" if group and group != "*" else plural
    decision = await authorize_async(
        identity,
        _text(attributes, "verb"),
        resource,
        _text(attributes, "namespace"),
        _text(attributes, "name"),
        _text(attributes, "subresource"),
    )
    return decision.allowed, decision.reason


async def _rules(identity: Identity, kind: Kind, namespace: str) -> list[Json]:
    scope = namespace if kind.namespaced else ""
    rules = []
    for subresource in ("", *sorted(kind.subresources)):
        allowed = [
            verb
            for verb in VERBS
            if (await authorize_async(identity, verb, kind.resource, scope, "", subresource)).allowed
        ]
        if allowed:
            name = f"{kind.plural}/{subresource}" if subresource else kind.plural
            rules.append({"verbs": allowed, "apiGroups": [kind.group], "resources": [name]})
    return rules
