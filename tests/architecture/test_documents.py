"""The documents name what exists: paths, links, commands, pictures."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from launcher.__main__ import parser

CHECKOUT = Path(__file__).resolve().parents[2]
DOCUMENTS = [
    *(CHECKOUT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((CHECKOUT / "docs").rglob("*.md")),
]
FOLDERS = "apps|dashboard|docs|frontend|launcher|nodeworker|requirements|static|templates|tests"
PATH = re.compile(rf"`((?:(?:{FOLDERS})/[\w./-]*)|(?:[\w.-]+\.(?:md|toml|yml))|\.importlinter|Dockerfile)`")
GENERATED = ("static/build", "static/collected", "apps/v1", "deployment.yaml")
LARGEST_PICTURE = 300_000


def named_paths() -> Iterator[tuple[str, str]]:
    for document in DOCUMENTS:
        for path in PATH.findall(document.read_text()):
            if not path.startswith(GENERATED):
                yield document.name, path


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_that_a_document_names_exists(document: Path) -> None:
    missing = [path for name, path in named_paths() if name == document.name and not (CHECKOUT / path).exists()]
    assert missing == []


def test_the_documents_name_paths_at_all() -> None:
    assert len(list(named_paths())) > 100


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_that_a_document_names_exists(document: Path) -> None:
    (choices,) = (action.choices for action in parser()._actions if action.choices)
    commands = set(choices)
    named = set(re.findall(r"\./gantry ([a-z]+)", document.read_text()))
    assert named - commands == set()


def test_no_picture_is_larger_than_300_kb() -> None:
    pictures = list((CHECKOUT / "docs" / "images").glob("*.png"))
    assert pictures
    assert [picture.name for picture in pictures if picture.stat().st_size > LARGEST_PICTURE] == []
