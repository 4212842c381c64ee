"""The documentation: its code runs as it stands, page by page; its reference is complete."""

import inspect
import re
from pathlib import Path

import pytest

import sklearn_aae
from sklearn_aae import displays, priors
from sklearn_aae._learned import flow
from sklearn_aae._rows.likelihoods import LIKELIHOODS

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


def test_pages_name_every_prior_and_every_likelihood():
    page = (DOCS / "guide" / "priors.md").read_text()
    public = [getattr(priors, name) for name in priors.__all__]
    classes = {cls for cls in public if isinstance(cls, type)} - {priors.Prior}
    for cls in classes - set(priors.PRIORS.values()):
        assert f"`{cls.__name__}(" in page, f"docs/guide/priors.md lacks {cls.__name__}"
    for name in priors.PRIORS:
        assert f'| `"{name}"`' in page, f"docs/guide/priors.md lacks a row for {name}"
    page = (DOCS / "guide" / "parameters.md").read_text()
    for name in LIKELIHOODS:
        assert f'`"{name}"`' in page, f"docs/guide/parameters.md lacks {name}"


EXAMPLES = {page.stem: page.read_text() for page in sorted(DOCS.glob("examples/plot_*.py"))}


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_example_says_its_result_and_asserts_it(name):
    assert re.search(r"^ *print\(", EXAMPLES[name], re.MULTILINE)
    assert re.search(r"^ *assert ", EXAMPLES[name], re.MULTILINE)


@pytest.mark.parametrize("name", [name for name in displays.__all__ if name.endswith("Display")])
def test_every_display_is_in_an_example(name):
    assert any(f"{name}." in text for text in EXAMPLES.values())
