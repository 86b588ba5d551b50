"""Images for containers about to start: fetched in threads, with back-off; completion looks at the pod again."""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from nodeworker.agent.logic.backoff import pull_delay
from nodeworker.agent.logic.observed import ImageSeen
from nodeworker.images.store import ImageStore
from nodeworker.images.types import ImageError, Progress, ReadyImage
from nodeworker.wire.reference import InvalidReference, parse_reference

log = logging.getLogger(__name__)
PATIENCE = 0.06  # an image that is here is ready within this time, and the start goes on without another look
MARGIN = 0.01  # beyond it, so that an image is waited for or its end wakes the pod, or both
NEVER_RETRY = float(10**10)
Key = tuple[str, str]  # pod uid, container


@dataclass
class Pull:
    """The image of one container's next attempt."""

    reference: str
    policy: str
    future: "Future[ReadyImage]"
    started_at: float
    fetched: bool = False  # something had to be fetched or unpacked
    failures: int = 0
    seen: ImageSeen = field(default_factory=lambda: ImageSeen("pulling"))
    ready: ReadyImage | None = None
    announced: bool = False  # its beginning was told as an event
    told: bool = False  # its end was told as an event


class Pulling:
    """All pulls under way and what came of them. Equal pulls share one."""

    def __init__(self, store: ImageStore, wake: Callable[[str], None]) -> None:
        self._store, self._wake = store, wake
        self._pool = ThreadPoolExecutor(4, thread_name_prefix="pull")
        self._lock = threading.Lock()
        self._pulls: dict[Key, Pull] = {}
        self._shared: dict[tuple[str, str], Future[ReadyImage]] = {}

    def seen(self, uid: str) -> dict[str, ImageSeen]:
        """The state of the pod's images, by container."""
        with self._lock:
            return {container: pull.seen for (owner, container), pull in self._pulls.items() if owner == uid}

    def start(self, uid: str, container: str, reference: str, policy: str) -> Pull:
        """Begin to get an image; `settle` waits for one that is here."""
        key = (uid, container)
        with self._lock:
            previous = self._pulls.get(key)
            if previous is not None and previous.seen.phase == "pulling":
                return previous
            shared = self._shared.get((reference, policy))
            fresh = shared is None or shared.done()
            pull = Pull(reference, policy, Future(), time.time(), failures=previous.failures if previous else 0)
            self._pulls[key] = pull
            if fresh or shared is None:
                shared = self._pool.submit(self._store.ensure, reference, policy, self._progress_of(key))
                self._shared[(reference, policy)] = shared
        shared.add_done_callback(lambda done: self._finish(key, pull, done))
        return pull

    def settle(self, uid: str) -> None:
        """Wait a moment for the pod's images: those that are here need not be looked for again."""
        with self._lock:
            pulls = [pull for (owner, _name), pull in self._pulls.items() if owner == uid]
        for pull in pulls:
            if pull.seen.phase == "pulling":
                wait([pull.future], max(0.0, pull.started_at + PATIENCE + MARGIN - time.time()))

    def take(self, uid: str, container: str) -> Pull | None:
        """The image for the attempt that starts now; the next attempt asks anew."""
        with self._lock:
            return self._pulls.pop((uid, container), None)

    def peek(self, uid: str, container: str) -> Pull | None:
        with self._lock:
            return self._pulls.get((uid, container))

    def forget(self, uid: str) -> None:
        with self._lock:
            for key in [key for key in self._pulls if key[0] == uid]:
                del self._pulls[key]

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _progress_of(self, key: Key) -> Callable[[Progress], None]:
        def progress(_step: Progress) -> None:
            pull = self._pulls.get(key)
            if pull is not None:
                pull.fetched = True

        return progress

    def _finish(self, key: Key, pull: Pull, done: "Future[ReadyImage]") -> None:
        problem = done.exception()
        now = time.time()
        with self._lock:
            if problem is None:
                pull.ready = done.result()
                pull.seen = ImageSeen("ready")
                pull.failures = 0
            else:
                pull.failures += 1
                pull.seen = _failed(problem, pull.failures, now)
            current = self._pulls.get(key) is pull
        if problem is None and pull.ready is not None:
            pull.future.set_result(pull.ready)
        else:
            pull.future.set_exception(problem or RuntimeError("no image"))
        if current and now - pull.started_at > PATIENCE:
            self._wake(key[0])


def _failed(problem: BaseException, failures: int, now: float) -> ImageSeen:
    if isinstance(problem, ImageError):
        retry_at = NEVER_RETRY if problem.reason == "InvalidImageName" else now + pull_delay(failures)
        return ImageSeen("failed", problem.reason, problem.message, now, retry_at)
    log.error("pulling failed", exc_info=problem)
    return ImageSeen("failed", "ErrImagePull", str(problem) or type(problem).__name__, now, now + pull_delay(failures))


def image_id(image: ReadyImage) -> str:
    """The imageID of a container status: repository and digest."""
    try:
        return f"{parse_reference(image.reference).name()}@{image.digest}"
    except InvalidReference:
        return image.digest
