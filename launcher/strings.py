"""Find text on pages that is not marked for translation. Run by `./gantry check` and by a test.

Templates: text between tags, and the attributes that people read. TypeScript: text between JSX tags. State words and
kind names of Kubernetes stay English; they come from data, not from templates.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
READ_ATTRIBUTES = ("aria-label", "title", "placeholder", "alt")
# Names that no language translates.
PROPER = {"Gantry", "YAML", "CSV", "CPU", "API", "REST", "IP", "kubectl", "Ctrl", "Esc", "Enter", "GitHub", "ms"}
# Shows the components to those who build the console; its texts are samples.
SAMPLES = {"styleguide.html"}

_BLOCK = re.compile(r"\{%\s*blocktranslate.*?%\}.*?\{%\s*endblocktranslate\s*%\}", re.DOTALL)
_COMMENT = re.compile(r"\{%\s*comment.*?endcomment\s*%\}|\{#.*?#\}|<!--.*?-->", re.DOTALL)
_SILENT = re.compile(r"<(script|style|svg|code|pre|kbd|samp)\b.*?</\1>", re.DOTALL)
_EXPRESSION = re.compile(r"\{%.*?%\}|\{\{.*?\}\}", re.DOTALL)
_ENTITY = re.compile(r"&[#\w]+;")
_WORD = re.compile(r"[A-Za-z]{2,}")


def unmarked_in_template(text: str) -> Iterator[str]:
    """Yield each piece of visible text that stands outside `{% translate %}` and `{% blocktranslate %}`."""
    for pattern in (_COMMENT, _BLOCK, _SILENT):
        text = pattern.sub("", text)
    for name in READ_ATTRIBUTES:
        for value in re.findall(rf'\b{name}="([^"]*)"', text):
            yield from _words(_EXPRESSION.sub(" ", value))
    without_tags = re.sub(r"<[^>]*>", "\n", _EXPRESSION.sub(" ", text))
    for line in without_tags.splitlines():
        yield from _words(line)


def unmarked_in_script(text: str) -> Iterator[str]:
    """Yield each piece of JSX text and each read attribute that does not come from `t()`."""
    text = re.sub(r"/\*.*?\*/|^\s*//.*$", "", text, flags=re.DOTALL | re.MULTILINE)
    for name in READ_ATTRIBUTES:
        for value in re.findall(rf'\b{name}="([^"]*)"', text):
            yield from _words(value)
    for piece in re.findall(r"<[a-z][\w.-]*(?:\s[^<>]*?)?>([^<>{}()=;&|]+)</", text):
        yield from _words(piece)


def findings(checkout: Path = CHECKOUT) -> list[str]:
    """Return `file: text` for everything that is not marked."""
    found = []
    for path in sorted((checkout / "templates").rglob("*.html")):
        if path.name not in SAMPLES:
            found += [f"{path.relative_to(checkout)}: {text}" for text in unmarked_in_template(path.read_text())]
    for path in sorted((checkout / "frontend" / "src").rglob("*.tsx")):
        found += [f"{path.relative_to(checkout)}: {text}" for text in unmarked_in_script(path.read_text())]
    return found


def _words(text: str) -> Iterator[str]:
    stripped = _ENTITY.sub(" ", text).strip()
    if any(word not in PROPER for word in _WORD.findall(stripped)):
        yield stripped


if __name__ == "__main__":
    problems = findings()
    sys.stdout.write("".join(f"{problem}\n" for problem in problems))
    sys.exit(1 if problems else 0)
