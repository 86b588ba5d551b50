"""Rules that ReplicaSet and Deployment share: a selector that matches its own template and never changes."""

from collections.abc import Iterator

from apps.kinds.kind import Change, Object
from apps.kinds.podrules import template_problems
from apps.kinds.problems import Path, Problem, child, forbidden, invalid, required
from nodeworker.wire.selectors import selector_from_object

_SPEC: Path = (None, "spec")


def workload_problems(change: Change, kind: str) -> Iterator[Problem]:
    """Yield what is wrong with selector and template."""
    spec = change.object["spec"]
    selector, template = spec["selector"], spec.get("template") or {}
    yield from selector_problems(selector, (_SPEC, "selector"))
    labels = (template.get("metadata") or {}).get("labels") or {}
    if not selector_from_object(selector).matches(labels):
        path = child(_SPEC, "template", "metadata", "labels")
        yield invalid(path, labels, "`selector` does not match template `labels`")
    if change.old is not None and selector != change.old["spec"].get("selector"):
        yield invalid((_SPEC, "selector"), selector, "field is immutable")
    yield from template_problems(template.get("spec") or {}, child(_SPEC, "template", "spec"), kind)


def selector_problems(selector: Object, path: Path) -> Iterator[Problem]:
    """Yield what is wrong with the expressions of a label selector."""
    for index, expression in enumerate(selector.get("matchExpressions") or ()):
        here = child(path, "matchExpressions", index, "values")
        if expression["operator"] in ("In", "NotIn"):
            if not expression.get("values"):
                yield required(here, "must be specified when `operator` is 'In' or 'NotIn'")
        elif expression.get("values"):
            yield forbidden(here, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
