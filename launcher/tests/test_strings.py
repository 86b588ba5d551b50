"""Unmarked text is found; marked text, code and proper names are not reported."""

import pytest

from launcher.strings import findings, unmarked_in_script, unmarked_in_template


@pytest.mark.parametrize(
    ("template", "found"),
    [
        ("<h1>Pods</h1>", ["Pods"]),
        ('<h1>{% translate "Pods" %}</h1>', []),
        ("<p>{% blocktranslate %}All is well{% endblocktranslate %}</p>", []),
        ('<input placeholder="Filter">', ["Filter"]),
        ("<input placeholder=\"{% translate 'Filter' %}\">", []),
        ("<code>kubectl get pods</code>", []),
        ("<p>{{ pod.name }} / 3</p>", []),
        ("<b>Gantry</b>", []),
        ("{# a remark #}<p>&middot;</p>", []),
    ],
)
def test_templates(template: str, found: list[str]) -> None:
    assert list(unmarked_in_template(template)) == found


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ("<button>Deploy</button>", ["Deploy"]),
        ('<button>{t("Deploy")}</button>', []),
        ('<input title="Name" />', ["Name"]),
        ("const a = b < c && d > e;", []),
    ],
)
def test_scripts(script: str, found: list[str]) -> None:
    assert list(unmarked_in_script(script)) == found


def test_every_text_of_the_console_is_marked() -> None:
    assert findings() == []
