"""/livez, /readyz, /healthz: asked by the supervisor, without credentials."""

from apps.api.asgi import Send
from apps.api.request import Request
from apps.api.responses import send_bytes
from apps.kinds.status import Unavailable
from apps.store import read

PATHS = frozenset({"livez", "readyz", "healthz"})


async def get_health(request: Request, send: Send, check: str) -> None:
    """Answer "ok"; readiness also asks the database."""
    if check != "livez":
        try:
            await read.current_revision_async()
        except Exception as error:
            raise Unavailable(f"the database cannot be read: {error}") from error
    await send_bytes(request, send, b"ok", b"text/plain; charset=utf-8")
