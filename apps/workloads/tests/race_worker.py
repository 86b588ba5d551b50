"""One controller and one scheduler in a process of their own, for `test_races.py`: they look all the time.

`python -m apps.workloads.tests.race_worker DATABASE SEED`; ends when its standard input is closed, and prints how
many of its plans were thrown away.
"""

import os
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import Any


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.test")
    from django.conf import settings

    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    import django

    django.setup()
    worker = Worker(random.Random(int(sys.argv[2])))
    threads = [threading.Thread(target=worker.spin, args=(step,)) for step in (worker.control, worker.schedule)]
    for thread in threads:
        thread.start()
    print("at work", flush=True)  # noqa: T201
    sys.stdin.read()
    worker.stopped.set()
    for thread in threads:
        thread.join()
    print(worker.conflicts)  # noqa: T201


class Worker:
    """Looks at the keys in random order; between observing and committing it may lose the processor, as anybody may."""

    def __init__(self, chance: random.Random) -> None:
        from apps.scheduling import controller as scheduling
        from apps.workloads import controllers

        self.chance, self.stopped, self.conflicts = chance, threading.Event(), 0
        for module in (controllers, scheduling):
            module.commit = self._slow(module.commit)  # type: ignore[attr-defined]
            module.emit = lambda *_: None  # type: ignore[attr-defined]

    def _slow(self, commit: Callable[..., Any]) -> Callable[..., Any]:
        from apps.kinds.status import Conflict

        def slow(*arguments: Any) -> Any:
            time.sleep(self.chance.random() * 0.003)
            try:
                return commit(*arguments)
            except Conflict:
                self.conflicts += 1
                raise

        return slow

    def spin(self, step: Callable[[], None]) -> None:
        while not self.stopped.is_set():
            step()

    def control(self) -> None:
        from apps.store import read
        from apps.workloads import tasks
        from apps.workloads.keys import Key

        names = [stored.name for stored in read.list_objects("ReplicaSet", "default").items]
        for name in self.chance.sample(names, len(names)):
            tasks.run(Key("ReplicaSet", f"default/{name}"))

    def schedule(self) -> None:
        from apps.scheduling.controller import schedule_now, waiting_pods

        keys = waiting_pods()
        if not keys:
            self.stopped.wait(0.001)
        elif taken := self.chance.sample(keys, self.chance.randint(1, len(keys))):
            schedule_now(taken)


if __name__ == "__main__":
    main()
