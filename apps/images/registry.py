"""An anonymous client of one registry, for one pull: requests, redirects, tokens, and one sentence for each way to
fail.

Called by pull.py. Anonymous is a rule: nothing secret is ever sent, a token goes only to the host it was got for.
http is for registries on this machine and those named in GANTRY_INSECURE_REGISTRIES; nothing may lead from a public
host into this machine's own networks (a redirect, a token service).
"""

import contextlib
import ipaddress
import os
import re
import socket
import ssl
from collections.abc import Iterator, Mapping
from urllib.parse import urljoin, urlsplit

import httpx2
import msgspec

from apps.images.errors import InvalidImage, PullFailed
from apps.images.manifests import DOCKER_INDEX, DOCKER_MANIFEST, MAX_DOCUMENT, OCI_INDEX, OCI_MANIFEST
from nodeworker.wire.reference import DEFAULT_REGISTRY, Reference

_ACCEPT = ", ".join((OCI_INDEX, DOCKER_INDEX, OCI_MANIFEST, DOCKER_MANIFEST))
_MAX_REDIRECTS = 5
_MAX_TOKEN = 1 << 20
_TIMEOUT = httpx2.Timeout(30.0, connect=10.0)
_PARAMETER = re.compile(r'([a-zA-Z_]+)="([^"]*)"')


class _Token(msgspec.Struct, frozen=True):
    token: str = ""
    access_token: str = ""


class Registry:
    """One registry and one repository of it. Use it in a `with`; safe to use from several threads."""

    def __init__(self, name: Reference) -> None:
        self._name = name
        self.host = "registry-1.docker.io" if name.registry == DEFAULT_REGISTRY else name.registry
        self._insecure = is_insecure(self.host)
        self._base = f"{'http' if self._insecure else 'https'}://{self.host}/v2/{name.repository}/"
        self._token = ""
        self._client = httpx2.Client(timeout=_TIMEOUT, follow_redirects=False, headers={"User-Agent": "gantry"})

    def __enter__(self) -> "Registry":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def manifest(self, version: str) -> tuple[bytes, str]:
        """Return the document of a tag or a digest, and what the registry calls it."""
        with self.request("manifests/" + version, {"Accept": _ACCEPT}) as response:
            body = b""
            for piece in self._pieces(response):
                body += piece
                if len(body) > MAX_DOCUMENT:
                    raise InvalidImage(f"the manifest at {self.host} is larger than {MAX_DOCUMENT} bytes")
            media_type = str(response.headers.get("content-type", "")).split(";")[0].strip()
            return body, media_type

    @contextlib.contextmanager
    def request(self, path: str, headers: Mapping[str, str]) -> Iterator[httpx2.Response]:
        """GET below the repository; yields a response of status 200 or 206, its body not read yet."""
        with self._errors():
            url, token, answered = self._base + path, self._token, False
            for _ in range(_MAX_REDIRECTS + 2):
                sent = dict(headers)
                if token and self._is_ours(url):
                    sent["Authorization"] = f"Bearer {token}"
                with self._client.stream("GET", url, headers=sent) as response:
                    if response.status_code in (301, 302, 303, 307, 308):
                        url = self._redirected(url, str(response.headers.get("location", "")))
                        continue
                    if response.status_code == 401 and not answered and self._is_ours(url):
                        token = self._token = self._fetch_token(str(response.headers.get("www-authenticate", "")))
                        answered = True
                        continue
                    if response.status_code not in (200, 206):
                        raise PullFailed(self._refusal(response))
                    yield response
                    return
            raise PullFailed(f"the registry {self.host} redirects more than {_MAX_REDIRECTS} times")

    def _pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        with self._errors():
            yield from response.iter_raw(1 << 16)

    def _is_ours(self, url: str) -> bool:
        return urlsplit(url).netloc == self.host

    def _redirected(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        if not location:
            raise PullFailed(f"the registry {self.host} redirects to nowhere")
        self._check_target(target, "redirects")
        return target

    def _fetch_token(self, challenge: str) -> str:
        scheme, _, rest = challenge.partition(" ")
        parameters = dict(_PARAMETER.findall(rest))
        realm = parameters.pop("realm", "")
        if scheme.lower() != "bearer" or not realm:
            raise PullFailed(self._denied())
        self._check_target(realm, "sends for a token")
        asked = {key: parameters[key] for key in ("service", "scope") if key in parameters}
        asked.setdefault("scope", f"repository:{self._name.repository}:pull")
        with self._client.stream("GET", realm, params=asked) as response:
            if response.status_code != 200:
                raise PullFailed(self._denied() if response.status_code in (401, 403) else self._refusal(response))
            body = b""
            for piece in response.iter_raw(1 << 16):
                body += piece
                if len(body) > _MAX_TOKEN:
                    raise PullFailed(f"the token service of {self.host} answers without end")
        try:
            token = msgspec.json.decode(body, type=_Token)
        except msgspec.MsgspecError as error:
            raise PullFailed(f"the token service of {self.host} answers no token") from error
        found = token.token or token.access_token
        if not found or not found.isascii() or not found.isprintable():
            raise PullFailed(f"the token service of {self.host} answers no token")
        return found

    def _check_target(self, url: str, does: str) -> None:
        """Refuse an address that a registry should not send us to: a downgrade, or a host of our own networks."""
        parts = urlsplit(url)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise PullFailed(f"the registry {self.host} {does} to {url[:200]!r}, which is no web address")
        if parts.scheme == "http" and not self._insecure:
            raise PullFailed(f"the registry {self.host} {does} to {parts.netloc} without encryption: refused")
        if parts.netloc == self.host:
            return
        own = urlsplit(self._base).hostname or ""
        if _is_private(parts.hostname) and not _is_private(own):
            raise PullFailed(f"the registry {self.host} {does} to the private address {parts.netloc}: refused")

    def _refusal(self, response: httpx2.Response) -> str:
        status, image = response.status_code, self._name.familiar()
        if status == 404:
            return f'image "{image}" was not found at {self._name.registry}: import it with ./gantry image import FILE'
        if status in (401, 403):
            return self._denied()
        if status == 429:
            wait = str(response.headers.get("retry-after", ""))
            later = f"in {wait} seconds" if wait.isdigit() else "later"
            return f"the registry {self.host} limits the rate of pulls (429): try again {later}"
        return f"the registry {self.host} answered {status} when it was asked for {image}"

    def _denied(self) -> str:
        what = f"{self._name.familiar()} at {self.host}"
        return f"pull access denied for {what}: it does not exist, or it needs a login (pulls are anonymous)"

    def _failed(self, why: str) -> str:
        # Most who see this are not connected, or meant an image that they have as a file.
        name = self._name.familiar()
        return f'image "{name}" could not be pulled: {why}; if you have it as a file: ./gantry image import FILE'

    @contextlib.contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except httpx2.TimeoutException as error:
            raise PullFailed(self._failed(f"the registry {self.host} did not answer in time")) from error
        except httpx2.HTTPError as error:
            raise PullFailed(self._failed(_sentence(self.host, error))) from error
        except (httpx2.InvalidURL, UnicodeError) as error:
            raise PullFailed(f"the registry {self.host} gave an address that is none: {error}") from error


def is_insecure(host: str) -> bool:
    """Tell whether http is spoken to a registry: on this machine, or where the administrator said so."""
    allowed = [entry.strip() for entry in os.environ.get("GANTRY_INSECURE_REGISTRIES", "").split(",")]
    name = urlsplit(f"//{host}").hostname or ""
    if host in allowed or name in allowed or name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_private(host: str) -> bool:
    """Tell whether a host lies in a network that is not the public one."""
    try:
        addresses = {entry[4][0] for entry in socket.getaddrinfo(host, None, proto=socket.IPPROTO_TCP)}
    except (OSError, UnicodeError):
        return False  # only a proxy knows it, or nobody does: the request will say
    return any(not ipaddress.ip_address(str(address).partition("%")[0]).is_global for address in addresses)


def _sentence(host: str, error: Exception) -> str:
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and len(chain) < 8:
        chain.append(link)
        link = link.__cause__ or link.__context__
    text = str(error)
    if any(isinstance(each, ssl.SSLCertVerificationError) for each in chain) or "CERTIFICATE_VERIFY_FAILED" in text:
        return f"the registry {host} has a TLS certificate that nobody vouches for: {text}"
    if any(isinstance(each, ssl.SSLError) for each in chain):
        return f"no TLS connection to the registry {host}: {text}"
    if any(isinstance(each, socket.gaierror) for each in chain):
        return f"the name of the registry {host} cannot be resolved: is this machine connected, is the name right?"
    if any(isinstance(each, ConnectionRefusedError) for each in chain) or "refused" in text:
        return f"the registry {host} refused the connection: is it running there?"
    return f"the connection to the registry {host} failed: {text or type(error).__name__}"
