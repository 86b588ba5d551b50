"""An API server for the agent's tests: a few kinds in a dictionary, list, watch, PATCH, DELETE, over plain HTTP."""

import json
import queue
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
PREFIXES = {"/api/v1": "v1", "/apis/discovery.k8s.io/v1": "d", "/apis/coordination.k8s.io/v1": "c"}


class FakeApi:
    """Objects by (plural, namespace, name), a revision counter, and everybody who watches."""

    def __init__(self) -> None:
        self.lock = threading.Condition()
        self.objects: dict[tuple[str, str, str], Object] = {}
        self.revision = 0
        self.watchers: list[tuple[str, queue.Queue[bytes | None]]] = []
        self.patches: list[tuple[float, str, Object]] = []
        self.steps: list[Object] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def close(self) -> None:
        for _, waiting in self.watchers:
            waiting.put(None)
        self.server.shutdown()
        self.server.server_close()

    def put(self, plural: str, entry: Object) -> Object:
        """Create or replace an object."""
        with self.lock:
            key = (plural, entry["metadata"].get("namespace", ""), entry["metadata"]["name"])
            verb = "MODIFIED" if key in self.objects else "ADDED"
            self.revision += 1
            entry["metadata"].setdefault("uid", f"uid-{entry['metadata']['name']}")
            entry["metadata"]["resourceVersion"] = str(self.revision)
            self.objects[key] = entry
            self._tell(plural, verb, entry)
            return entry

    def get(self, plural: str, namespace: str, name: str) -> Object | None:
        with self.lock:
            return self.objects.get((plural, namespace, name))

    def remove(self, plural: str, namespace: str, name: str) -> None:
        with self.lock:
            entry = self.objects.pop((plural, namespace, name))
            self.revision += 1
            entry["metadata"]["resourceVersion"] = str(self.revision)
            self._tell(plural, "DELETED", entry)

    def mark_deleted(self, namespace: str, name: str, grace: int) -> None:
        with self.lock:
            pod = json.loads(json.dumps(self.objects[("pods", namespace, name)]))
        pod["metadata"] |= {"deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": grace}
        for condition in pod["status"].get("conditions", ()):
            if condition["type"] == "Ready":
                condition["status"] = "False"
        self.put("pods", pod)

    def wait(self, holds: Callable[[], Any], seconds: float = 20.0) -> Any:
        """Wait until `holds()` is true; its value. Woken by every write."""
        deadline = time.monotonic() + seconds
        with self.lock:
            while not (value := holds()):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"not within {seconds} s; pods: {self.describe()}")
                self.lock.wait(left)
            return value

    def describe(self) -> str:
        pods = {key: entry["status"] for key, entry in self.objects.items() if key[0] == "pods"}
        events = [entry["message"] for key, entry in self.objects.items() if key[0] == "events"]
        return json.dumps([{str(key): value for key, value in pods.items()}, events], indent=1)

    def _tell(self, plural: str, verb: str, entry: Object) -> None:
        line = json.dumps({"type": verb, "object": entry}).encode() + b"\n"
        for watched, waiting in self.watchers:
            if watched == plural:
                waiting.put(line)
        self.lock.notify_all()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True
            wbufsize = 65536

            def log_message(self, *_arguments: Any) -> None:
                pass

            def do_GET(self) -> None:
                api.answer_get(self)

            def do_POST(self) -> None:
                api.answer_write(self)

            do_PATCH = do_DELETE = do_POST  # noqa: N815

        return Handler

    def answer_get(self, request: BaseHTTPRequestHandler) -> None:
        plural, namespace, name, _, query = parse(request.path)
        if name:
            found = self.get(plural, namespace, name)
            return reply(request, 200 if found else 404, found or {"reason": "NotFound", "message": f"no {name}"})
        if "watch" in query:
            return self._watch(request, plural)
        with self.lock:
            items = [entry for key, entry in self.objects.items() if key[0] == plural]
            body = {"items": items, "metadata": {"resourceVersion": str(self.revision)}}
        return reply(request, 200, body)

    def _watch(self, request: BaseHTTPRequestHandler, plural: str) -> None:
        waiting: queue.Queue[bytes | None] = queue.Queue()
        since = int(parse(request.path)[4]["resourceVersion"][0])
        with self.lock:
            for key, entry in self.objects.items():
                if key[0] == plural and int(entry["metadata"]["resourceVersion"]) > since:
                    waiting.put(json.dumps({"type": "MODIFIED", "object": entry}).encode() + b"\n")
            self.watchers.append((plural, waiting))
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.wfile.flush()
        try:
            while (line := waiting.get()) is not None:
                request.wfile.write(b"%x\r\n%b\r\n" % (len(line), line))
                request.wfile.flush()
        except OSError:
            pass
        request.close_connection = True

    def answer_write(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(length) or b"null")
        if request.path.startswith("/rest/v1/steps"):
            self.steps.append(body)
            return reply(request, 201, {})
        plural, namespace, name, _subresource, _ = parse(request.path)
        if request.command == "POST":
            body["metadata"].setdefault("uid", f"uid-{body['metadata']['name']}")
            if self.get(plural, namespace, body["metadata"]["name"]):
                return reply(request, 409, {"reason": "AlreadyExists", "message": "exists"})
            if plural == "nodes":
                body["spec"]["podCIDR"] = self.pod_cidr
            return reply(request, 201, self.put(plural, body))
        found = self.get(plural, namespace, name)
        if found is None:
            return reply(request, 404, {"reason": "NotFound", "message": f"no {name}"})
        if request.command == "DELETE":
            self.remove(plural, namespace, name)
            return reply(request, 200, found)
        self.patches.append((time.time(), plural, body))
        return reply(request, 200, self.put(plural, merge(json.loads(json.dumps(found)), body)))

    pod_cidr = "10.211.7.0/24"


def merge(target: Object, patch: Object) -> Object:
    """A merge patch in which conditions merge by their type."""
    for key, value in patch.items():
        if key == "conditions":
            known = {entry["type"]: entry for entry in target.get("conditions", [])}
            for entry in value:
                known[entry["type"]] = merge(known.get(entry["type"], {}), entry)
            target["conditions"] = list(known.values())
        elif value is None:
            target.pop(key, None)
        elif isinstance(value, dict) and isinstance(target.get(key), dict):
            merge(target[key], value)
        else:
            target[key] = value
    return target


def parse(path: str) -> tuple[str, str, str, str, dict[str, list[str]]]:
    """plural, namespace, name, subresource, query."""
    address = urlsplit(path)
    rest = address.path
    for prefix in PREFIXES:
        rest = rest.removeprefix(prefix)
    parts = rest.strip("/").split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    parts += [""] * (3 - len(parts))
    return parts[0], namespace, parts[1], parts[2], parse_qs(address.query)


def reply(request: BaseHTTPRequestHandler, code: int, body: Any) -> None:
    content = json.dumps(body).encode()
    request.send_response(code)
    request.send_header("Content-Length", str(len(content)))
    request.end_headers()
    request.wfile.write(content)
    request.wfile.flush()
