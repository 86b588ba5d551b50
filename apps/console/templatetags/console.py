"""The components that templates draw; frontend/src/table/cells.tsx draws the same cells."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import template
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

from apps.console.actions import Action
from apps.console.lists.base import Column, Row
from apps.console.tables import Table
from apps.console.words import State
from nodeworker.wire.time import parse_time, short_age

register = template.Library()


@register.simple_tag
def icon(name: str, classes: str = "") -> SafeString:
    """An icon without meaning of its own."""
    return format_html('<i class="icon i-{} {}" aria-hidden="true"></i>', name, classes)


@register.simple_tag
def state(value: State, badge: bool = False) -> SafeString:
    """A state: colour, shape and word."""
    return format_html(
        '<span class="state {}{}" title="{}"><span>{}</span></span>',
        value.look,
        " badge" if badge else "",
        value.note,
        value.word,
    )


@register.simple_tag
def age(moment: str | datetime | None) -> SafeString | str:
    """How long ago, ticking in the page."""
    if not moment:
        return ""
    text = moment if isinstance(moment, str) else moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    try:
        seconds = (datetime.now(UTC) - parse_time(text)).total_seconds()
    except ValueError:
        return text
    # In a live page the tick draws the text: the HTML must not differ each second.
    return format_html('<time data-age datetime="{}">{}</time>', text, short_age(seconds))


@register.simple_tag
def copy(text: str) -> SafeString:
    """A button that copies a text."""
    return format_html(
        '<button class="copy" type="button" data-copy="{}" aria-label="{}">'
        '<i class="icon i-copy" aria-hidden="true"></i></button>',
        text,
        _("Copy %s") % text,
    )


@register.simple_tag
def action(value: Action, classes: str = "") -> SafeString:
    """A button that writes."""
    classes = f"button {classes}{' danger' if value.danger else ''}"
    picture = format_html('<i class="icon i-{}" aria-hidden="true"></i>', value.icon) if value.icon else ""
    label: SafeString | str = value.label
    if "square" in classes:
        label = format_html('<span class="sr">{}</span>', value.label)
    if value.reason:
        return format_html(
            '<button class="{}" type="button" aria-disabled="true" title="{}">{}{}</button>',
            classes,
            value.reason,
            picture,
            label,
        )
    return format_html(
        '<button class="{}" type="button"{}>{}{}</button>', classes, call_attributes(value), picture, label
    )


@register.simple_tag
def call_attributes(value: Action) -> SafeString:
    """The data attributes that core/actions.ts reads."""
    pairs = {
        "call": value.method,
        "url": value.url,
        "body": value.body,
        "type": value.type if value.body else "",
        "done": value.done,
        "next": value.next,
        "confirm": value.confirm,
        "confirm-text": value.confirm_text,
        "confirm-name": value.confirm_name,
        "confirm-button": value.label if value.confirm else "",
    }
    attributes = format_html_join("", ' data-{}="{}"', ((name, text) for name, text in pairs.items() if text))
    return format_html("{}{}", attributes, mark_safe(" data-danger") if value.danger else "")


@register.filter
def bytes_text(size: Any) -> str:
    """A number of bytes as people read it: 4.2 MB."""
    value = float(size or 0)
    for unit in ("B", "KB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return ""


@register.filter
def short_digest(digest: str) -> str:
    """The first twelve digits of a digest."""
    return digest.partition(":")[2][:12] or digest[:12]


@register.filter
def to_json(value: Any) -> str:
    """JSON for a data attribute; the template escapes it."""
    return json.dumps(value, separators=(",", ":"))


@register.simple_tag
def json_script(value: Any) -> SafeString:
    """JSON in a script element that is never executed."""
    text = (
        json.dumps(value, separators=(",", ":")).replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    )
    return mark_safe(f'<script type="application/json">{text}</script>')


@register.simple_tag
def cell(column: Column, row: Row, position: int) -> SafeString:
    """One cell of a list."""
    return format_html('<td class="c-{} p{}">{}</td>', column.type, column.priority, _content(column, row, position))


def _content(column: Column, row: Row, position: int) -> SafeString | str:
    value = row.cells[position]
    if value is None or value == "":
        return ""
    if column.type == "age":
        return age(str(value))
    if column.type == "name":
        return format_html('<a href="{}">{}</a>', row.href, value) if row.href else str(value)
    if not isinstance(value, list):
        return (
            format_html('<span title="{}">{}</span>', value, value) if column.type in ("text", "mono") else str(value)
        )
    if column.type == "state":
        return state(State(*value))
    if column.type == "link":
        return format_html('<a href="{}">{}</a>', value[1], value[0]) if value[1] else str(value[0])
    if column.type == "bar":
        return meter(float(value[0]), str(value[1]))
    return f"{value[0]}/{value[1]}"


@register.simple_tag
def meter(fraction: float, words: str) -> SafeString:
    """A small bar with words."""
    high = " high" if fraction > 0.85 else ""
    return format_html(
        '<span class="cell-bar"><progress class="bar{}" max="1" value="{}" aria-label="{}"></progress>'
        "<span>{}</span></span>",
        high,
        round(fraction, 3),
        words,
        words,
    )


@register.inclusion_tag("components/live_table.html")
def live_table(table: Table, first: bool = True) -> Mapping[str, Any]:
    """A live list; when a page is rendered again, only its place, because it keeps itself up to date."""
    return {"table": table, "first": first}


@register.filter
def index(values: Any, position: int) -> Any:
    """values[position]."""
    return values[position]
