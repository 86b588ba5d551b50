"""What must be true of a home before its processes start: database migrated, certificates, first objects, admin token.

Called by `up` and by `run setup` (docker-compose) with nothing of the instance running.
"""

import io
import ipaddress
import os
import sqlite3
from pathlib import Path

import django

from launcher.configuration import kubeconfig_token, write_kubeconfig, write_node
from launcher.terminal import step
from nodeworker.wire.instance import Instance

KEPT_BACKUPS = 3


def prepare(home: Path, instance: Instance) -> None:
    """Bring the home to the checkout's version; every step may be repeated."""
    _certificates(home, instance)
    use_django(home)
    _migrate(home)
    _first_objects(home, instance)
    _first_image()
    write_node(home, instance)


def use_django(home: Path) -> None:
    """Load Django on the instance's database."""
    os.environ["GANTRY_HOME"] = str(home)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dashboard.settings.production")
    os.environ.setdefault("GANTRY_LOG_LEVEL", "WARNING")
    django.setup()


def _certificates(home: Path, instance: Instance) -> None:
    from apps.nodes.authority import ensure_authority, ensure_leaf

    pki = home / "pki"
    local = {"localhost", "127.0.0.1", "::1", instance.address, _host(instance.api_listen), _host(instance.listen)}
    names = sorted(name for name in local if name not in ("0.0.0.0", "::"))
    service = _first_address(instance.service_cidr)
    cluster = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", service]
    ensure_authority(pki, f"gantry-{instance.id}")
    ensure_leaf(pki, "api", "gantry:api", names=[*names, *cluster], server=True)
    ensure_leaf(pki, "web", "gantry:web", client=True)
    ensure_leaf(
        pki,
        f"node-{instance.node_name}",
        f"system:node:{instance.node_name}",
        organizations=["system:nodes"],
        names=[*names, instance.node_name],
        server=True,
        client=True,
    )


def _migrate(home: Path) -> None:
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    executor = MigrationExecutor(connection)
    if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return
    if connection.vendor == "sqlite" and executor.loader.applied_migrations:
        _back_up(home)
    with step("Database migrated"):
        call_command("migrate", interactive=False, verbosity=0)


def _back_up(home: Path) -> None:
    """Copy the database with SQLite's own backup, which is consistent whatever its WAL holds; keep the newest few."""
    database = home / "database.sqlite3"
    if not database.exists() or not database.stat().st_size:
        return
    folder = home / "backups"
    folder.mkdir(mode=0o700, exist_ok=True)
    kept = sorted(folder.glob("database-*.sqlite3"))
    number = int(kept[-1].stem.rpartition("-")[2]) + 1 if kept else 1
    with step("Database copied"), sqlite3.connect(database) as source:
        target = sqlite3.connect(folder / f"database-{number:06}.sqlite3")
        source.backup(target)
        target.close()
    for old in kept[: len(kept) + 1 - KEPT_BACKUPS]:
        old.unlink()


def _first_objects(home: Path, instance: Instance) -> None:
    from django.core.management import call_command

    call_command("bootstrap", stdout=io.StringIO())
    write_kubeconfig(home, instance, _admin_token(kubeconfig_token(home)))


def _first_image() -> None:
    """Make `busybox` from Debian's package when there is no image at all, so that the first pod needs no registry."""
    from django.core.management import call_command

    from apps.images.models import Image

    if not Image.objects.exists():
        with step("First image: busybox, from Debian's busybox-static"):
            call_command("make_busybox", stdout=io.StringIO())


def _admin_token(present: str) -> str:
    """Return the token that the kubeconfig holds while it counts, else a new one."""
    from apps.access.models import Token
    from apps.access.tokens import administrator, digest, make_token

    user, name = administrator(), "admin.kubeconfig"
    if present and Token.objects.filter(user=user, name=name, sha256=digest(present), expires=None).exists():
        return present
    Token.objects.filter(user=user, name=name).delete()
    return make_token(user, name)[1]


def _host(listen: str) -> str:
    return listen.rpartition(":")[0].strip("[]")


def _first_address(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr)[1])
