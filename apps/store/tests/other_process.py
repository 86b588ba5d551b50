"""What test_groups runs in processes of their own: increments, creations, and a controller that keeps five children."""

import os
import sys

import django
from django.conf import settings

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.test")
    django.setup()
    database, owner_uid, number = sys.argv[1:]
    settings.DATABASES["default"]["NAME"] = database

    from apps.kinds.status import Conflict
    from apps.store import read, transaction
    from apps.store.tests.shapes import ALICE, config_map
    from apps.store.tests.test_groups import _plus_one, adding_child

    for turn in range(30):
        transaction.modify("ConfigMap", "default", "counter", _plus_one, ALICE)
        if turn < 20:
            transaction.create("ConfigMap", config_map(f"c{number}-{turn}"), ALICE)
        children, counter = read.children(owner_uid, "Pod")
        if len(children) < 5:
            try:
                transaction.commit(adding_child(owner_uid, f"p{number}-{turn}", counter), ALICE)
            except Conflict:
                continue
