"""What the forms start from: the sample, image suggestions, the kinds that a manifest may have, tokens."""

from typing import Any

from apps.access.models import Token
from apps.console.viewer import Viewer
from apps.images.models import ImageName
from apps.kinds.registry import KINDS
from nodeworker.wire.reference import parse_reference

MOST_IMAGES = 300
# busybox's httpd serves one page, written at the start, that names the pod: reload it and another one answers.
_COMMAND = """mkdir -p /www && cd /www
cat > index.html <<END
<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sample</title>
<style>body{font:16px/1.6 system-ui,sans-serif;display:grid;place-content:center;min-height:90vh;margin:0}
body{text-align:center}code{font-size:1.3em}p{color:#666}
@media(prefers-color-scheme:dark){body{background:#111;color:#eee}p{color:#aaa}}</style>
<h1>It runs.</h1><code>$(hostname)</code><p>answered you. Reload, and another of the pods may.</p></html>
END
exec httpd -f -p 8080 -h /www"""

SAMPLE: list[dict[str, Any]] = [
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "sample", "namespace": "default", "labels": {"app": "sample"}},
        "spec": {
            "replicas": 3,
            "selector": {"matchLabels": {"app": "sample"}},
            "template": {
                "metadata": {"labels": {"app": "sample"}},
                "spec": {
                    "containers": [
                        {
                            "name": "web",
                            "image": "busybox",
                            "command": ["sh", "-c", _COMMAND],
                            "ports": [{"containerPort": 8080}],
                            "readinessProbe": {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 2},
                            "resources": {"requests": {"cpu": "10m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
                        }
                    ]
                },
            },
        },
    },
    {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "sample", "namespace": "default", "labels": {"app": "sample"}},
        "spec": {"type": "NodePort", "selector": {"app": "sample"}, "ports": [{"port": 80, "targetPort": 8080}]},
    },
]


def known_images() -> list[str]:
    """The names of the images that are here, as a person writes them."""
    names = ImageName.objects.order_by("reference").values_list("reference", flat=True)[:MOST_IMAGES]
    return [parse_reference(name).familiar() for name in names]


def kinds() -> dict[str, dict[str, Any]]:
    """Where objects of each kind are created: `apps/v1 Deployment` → plural and scope."""
    return {f"{kind.api_version} {kind.kind}": {"plural": kind.plural, "namespaced": kind.namespaced} for kind in KINDS}


def tokens_of(viewer: Viewer) -> list[Token]:
    """The viewer's own API tokens."""
    return list(Token.objects.filter(user__username=viewer.name).order_by("-created")[:100])
