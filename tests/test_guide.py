"""The documentation: its code runs as it stands, page by page; its reference is complete."""

import inspect
import re
from pathlib import Path

import pytest

import sklearn_aae
from sklearn_aae._learned import flow

DOCS = Path(__file__).parent.parent / "docs"
PAGES = [
    page
    for page in [DOCS / "index.md", DOCS / "getting_started.md", *sorted(DOCS.glob("guide/*.md"))]
    if "```python" in page.read_text()
]


def run(page):
    code = "\n".join(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
    exec(compile(code, str(page), "exec"), {})


# A dozen seconds each, of ten models and of graphs.
LONG = {"from_scikit_learn", "deploying"}


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=pytest.mark.thorough if page.stem in LONG else ())
        for page in PAGES
    ],
)
def test_the_code_of_the_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some of it writes files
    monkeypatch.setattr(flow, "_N_STEPS", 20)  # that it runs does not depend on their number
    run(page)


@pytest.mark.thorough
@pytest.mark.parametrize(
    "page", [p for p in PAGES if "normalizing_flow=True" in p.read_text()], ids=lambda p: p.stem
)
def test_the_code_of_the_page_runs_with_flows_as_long_as_those_of_users(
    page, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    run(page)


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.rst").read_text()
    entries = set(re.findall(r"^   (?:\w+\.)?(\w+)$", reference, re.MULTILINE))
    mentioned = set(re.findall(r"``(\w+)``", reference))
    for name in sklearn_aae.__all__:
        part = getattr(sklearn_aae, name)
        names = part.__all__ if inspect.ismodule(part) else [name]
        assert set(names) <= entries | mentioned, f"docs/api.rst lacks names of {name}"


def test_every_public_class_and_function_has_an_example():
    """Examples are doctests and run with the tests."""
    for name in sklearn_aae.__all__:
        part = getattr(sklearn_aae, name)
        names = part.__all__ if inspect.ismodule(part) else []
        for public in [getattr(part, n) for n in names] or [part]:
            # Two scorers are objects of scikit-learn; the example of choosing a detector has them.
            if inspect.isclass(public) or inspect.isfunction(public):
                assert ">>> " in inspect.getdoc(public), f"{public.__name__} has no example"
