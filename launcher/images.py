"""`./gantry image import|ls|rm`: the image commands, over the REST API like every other client."""

import argparse
import http.client
import json
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from launcher.configuration import kubeconfig_token
from launcher.errors import LauncherError
from launcher.terminal import size
from nodeworker.wire.instance import Instance


def image_import(arguments: argparse.Namespace) -> None:
    """Send an archive to the instance and show its progress; `-` reads standard input."""
    with _opened(arguments.file) as stream:
        for line in _lines(_request(arguments.home, "POST", "/rest/v1/images/import", stream)):
            _show(line)
    if sys.stdout.isatty():
        print()


def image_ls(arguments: argparse.Namespace) -> None:
    """Print the images as a table."""
    images = json.load(_request(arguments.home, "GET", "/rest/v1/images"))
    rows = [("IMAGE", "DIGEST", "SIZE", "SOURCE")]
    for image in images["items"]:
        for reference in image["names"] or ["<untagged>"]:
            rows.append((reference, str(image["digest"])[7:19], size(image["size"]), str(image["source"])))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    for row in rows:
        print("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def image_rm(arguments: argparse.Namespace) -> None:
    """Remove an image by its reference."""
    query = f"reference={quote(arguments.reference, safe='')}" + ("&force=true" if arguments.force else "")
    _request(arguments.home, "DELETE", f"/rest/v1/images?{query}").read()
    print(f"removed {arguments.reference}")


def _opened(file: str) -> IO[bytes]:
    if file == "-":
        return sys.stdin.buffer
    try:
        return Path(file).open("rb")
    except OSError as error:
        raise LauncherError(f"cannot read {file}: {error.strerror}") from None


def _request(home: Path, method: str, path: str, body: IO[bytes] | None = None) -> http.client.HTTPResponse:
    try:
        instance = Instance.load(home)
    except FileNotFoundError:
        raise LauncherError(f"there is no instance in {home}; start one with ./gantry up") from None
    context = ssl.create_default_context(cafile=str(home / "pki" / "ca.crt"))
    host, _, port = instance.api_listen.rpartition(":")
    host = "127.0.0.1" if host in ("0.0.0.0", "[::]") else host.strip("[]")
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=600)
    headers = {"Authorization": f"Bearer {kubeconfig_token(home)}", "Accept": "application/json"}
    if body is not None:
        headers["Content-Type"] = "application/x-tar"
    try:
        connection.request(method, path, body=body, headers=headers, encode_chunked=body is not None)
        answer = connection.getresponse()
    except OSError as error:
        raise LauncherError(f"the instance in {home} does not answer ({error}); is it up? ./gantry status") from None
    if answer.status >= 400:
        raise LauncherError(_message(answer))
    return answer


def _message(answer: http.client.HTTPResponse) -> str:
    text = answer.read().decode(errors="replace")
    try:
        content = json.loads(text)
        return str(content.get("message") or content.get("error") or content)
    except (ValueError, AttributeError):
        return f"the instance answered {answer.status} {answer.reason}"


def _lines(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        if line.strip():
            yield json.loads(line)


def _show(line: dict[str, Any]) -> None:
    if "error" in line:
        raise LauncherError(str(line["error"]))
    if "done" in line:
        done = line["done"]
        print(("\r\033[K" if sys.stdout.isatty() else "") + _done_sentence(done))
    elif sys.stdout.isatty():
        amount = f" {size(line['current'])}" if line.get("current") else ""
        print(f"\r\033[K{line.get('status', '')}{amount}", end="", flush=True)


def _done_sentence(done: Any) -> str:
    return "\n".join(f"imported {', '.join(image['names']) or image['digest']}" for image in done["images"])
