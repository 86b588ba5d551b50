"""What every cluster has from its first start; called by `manage.py bootstrap` after the migrations, as often as it
likes.
"""

from apps.store.rows import Origin
from apps.store.transaction import Transaction, commit

NAMESPACES = ("default", "kube-system", "kube-public", "kube-node-lease")


def bootstrap() -> list[str]:
    """Make the namespaces that are missing; return their names."""
    return commit(_make_namespaces, Origin("system:bootstrap"))


def _make_namespaces(transaction: Transaction) -> list[str]:
    missing = [name for name in NAMESPACES if transaction.get("Namespace", "", name) is None]
    for name in missing:
        transaction.create("Namespace", {"metadata": {"name": name}})
    return missing
