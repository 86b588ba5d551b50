"""Tell the supervisor, or systemd, that a process is ready: the sd_notify(3) protocol.

Called once by web, controller and nodeworker when they can do their work. Without NOTIFY_SOCKET (a process started by
hand) it does nothing.
"""

import os
import socket


def notify_ready() -> None:
    """Send READY=1 to the socket that NOTIFY_SOCKET names."""
    notify("READY=1")


def notify(state: str) -> None:
    """Send `state` (`READY=1`, `STATUS=...`) to the socket that NOTIFY_SOCKET names."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(state.encode(), address)
