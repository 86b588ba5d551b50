"""Lists of config maps and secrets; a secret's values never enter a row."""

from django.utils.translation import gettext_lazy as _

from apps.console.lists.base import Column, ListView, Object, created_of, name_of, namespace_of


def _keys(object_: Object) -> list[str]:
    return [*(object_.get("data") or {}), *(object_.get("binaryData") or {})]


CONFIG_MAPS = ListView(
    name="configmaps",
    kind="ConfigMap",
    resource="configmaps",
    title=_("Config maps"),
    icon="sliders",
    href=lambda o: f"/n/{o['metadata']['namespace']}/configmaps/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("data", _("Data"), "number", lambda o, now: len(_keys(o))),
        Column("keys", _("Keys"), "mono", lambda o, now: ", ".join(_keys(o)), priority=2),
        Column("age", _("Age"), "age", created_of),
    ),
    empty=_("No config maps here. A config map holds settings that pods read as files or as environment."),
)

SECRETS = ListView(
    name="secrets",
    kind="Secret",
    resource="secrets",
    title=_("Secrets"),
    icon="lock",
    href=lambda o: f"/n/{o['metadata']['namespace']}/secrets/{o['metadata']['name']}",
    columns=(
        Column("name", _("Name"), "name", name_of),
        Column("namespace", _("Namespace"), "text", namespace_of, priority=2),
        Column("type", _("Type"), "text", lambda o, now: o.get("type", "Opaque")),
        Column("data", _("Data"), "number", lambda o, now: len(o.get("data") or {})),
        Column("age", _("Age"), "age", created_of),
    ),
    empty=_("No secrets here. A secret holds passwords and keys; it is encrypted before it is stored."),
)
