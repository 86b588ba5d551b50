"""An overlay mount of any number of layers, whatever their names.

mount(2) takes one page of options, and colons or commas in a name are syntax: 45 absolute paths already fail, with a
misleading ENOENT. So the layers are opened and the mount is made from /proc/self/fd, where each is called by a number;
the container's own mountinfo then shows numbers instead of the host's paths.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack

from nodeworker.kernel.mounts import mount

# `volatile`: no fsync of the whole backing file system at unmount; a container's writable layer is never reused after
# a crash. Redirects and metacopy are off, so that an image cannot make one name show the data of another.
OPTIONS = "index=off,metacopy=off,redirect_dir=nofollow,volatile"


def mount_overlay(lower: Sequence[str], upper: str, work: str, target: str, flags: int = 0) -> None:
    """Mount the layers (topmost first) with their writable part on the absolute path `target`."""
    with ExitStack() as stack:

        def number(path: str) -> str:
            descriptor = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            return str(descriptor)

        before = os.open(".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, before)
        data = f"lowerdir={':'.join(map(number, lower))},upperdir={number(upper)},workdir={number(work)},{OPTIONS}"
        os.chdir("/proc/self/fd")
        stack.callback(os.fchdir, before)
        mount("overlay", target, "overlay", flags, data)
