"""Imports point down the floors, are absolute, and never go through the package root."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_aae

PACKAGE = Path(sklearn_aae.__file__).parent
DOCS = Path(__file__).parent.parent / "docs"

# From the ground up; what stands side by side does not import each other.
FLOORS = [
    {"_compat", "_files", "_warnings"},
    {"metrics", "modules", "priors"},
    {"_rows", "displays"},
    {"_training"},
    {"callbacks"},
    {"_learned"},
    {"_estimators"},
    {"_graphs", "_workers", "persistence"},
    {"dask", "onnx"},
    {"__init__"},
]
LEVEL = {name: level for level, names in enumerate(FLOORS) for name in names}
FILES = sorted(str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py"))
MOST_LINES = 450


def floor_of(file):
    """Name of the folder of a file, or of the file itself where it lies in the package root."""
    return Path(file).parts[0].removesuffix(".py")


def imported_modules(source):
    """Dotted names in this package that a source imports, outside TYPE_CHECKING blocks."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            names = [node.module]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            root, *rest = name.split(".")
            if root == "sklearn_aae":
                yield ".".join(rest) or "__init__"


def test_every_file_is_on_a_floor():
    assert {floor_of(file) for file in FILES} == set(LEVEL)


@pytest.mark.parametrize("file", FILES)
def test_imports_point_down(file):
    own = floor_of(file)
    for module in imported_modules((PACKAGE / file).read_text()):
        floor = module.split(".")[0]
        if floor != own:
            assert LEVEL[floor] < LEVEL[own], f"{file} imports {module}"


@pytest.mark.parametrize("folder", sorted({floor_of(f) for f in FILES if "/" in f}))
def test_files_of_a_folder_import_each_other_without_a_cycle(folder):
    waiting = {
        f"{folder}.{Path(file).stem}": {
            module
            for module in imported_modules((PACKAGE / file).read_text())
            if module.split(".")[0] == folder
        }
        for file in FILES
        if floor_of(file) == folder and not file.endswith("__init__.py")
    }
    while waiting:
        free = {name for name, needs in waiting.items() if not needs & waiting.keys()}
        assert free, f"a cycle among {sorted(waiting)}"
        # Through the folder's own __init__, which imports them all, there would be one.
        assert not any(folder in needs for needs in waiting.values())
        waiting = {name: needs for name, needs in waiting.items() if name not in free}


@pytest.mark.parametrize("file", FILES)
def test_no_file_is_long(file):
    assert len((PACKAGE / file).read_text().splitlines()) <= MOST_LINES


def test_the_design_page_has_these_floors():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (DOCS / "design.md").read_text(), re.MULTILINE)
    written = {int(level): set(re.findall(r"`(\w+)`", modules)) for level, modules in rows}
    assert written == dict(enumerate(FLOORS))
    figure = re.findall(r"<text[^>]*>([^<]*)</text>", (DOCS / "images/layers.svg").read_text())
    assert [set(text.split()) for text in figure[: len(FLOORS)]] == FLOORS[::-1]


def test_the_files_on_the_way_of_the_data_are_those_of_the_design_page():
    text = (DOCS / "design.md").read_text()
    named = re.findall(r"`((?:_\w+|callbacks|modules|persistence)/\w+\.py)`", text)
    assert named
    assert set(named) <= set(FILES)


def test_the_import_test_sees_an_import_that_points_up():
    source = "from sklearn_aae._estimators.base import BaseAdversarialAutoencoder"
    assert list(imported_modules(source)) == ["_estimators.base"]
    assert LEVEL["_estimators"] > LEVEL["priors"]


@pytest.mark.parametrize("name", ["sklearn_aae", "sklearn_aae.metrics"])
def test_import_does_not_load_torch(name):
    code = f"import {name}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("file", [f for f in FILES if f != "_compat.py"])
def test_private_names_of_scikit_learn_enter_in_one_place(file):
    tree = ast.parse((PACKAGE / file).read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "sklearn":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [n for n in names if n.startswith("_")], f"{file}, line {node.lineno}"


def test_public_names():
    assert sorted(sklearn_aae.__all__) == [
        "AdversarialAutoencoder",
        "AdversarialAutoencoderClassifier",
        "AdversarialAutoencoderClusterer",
        "AdversarialTextAutoencoder",
        "Chunks",
        "ConditionalAdversarialAutoencoder",
        "UnseenCategoryWarning",
        "callbacks",
        "displays",
        "load",
        "metrics",
        "modules",
        "onnx",
        "persistence",
        "priors",
        "save",
    ]
    assert all(hasattr(sklearn_aae, name) for name in sklearn_aae.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Autoencoder'"):
        sklearn_aae.Autoencoder  # noqa: B018  # the access is the test
