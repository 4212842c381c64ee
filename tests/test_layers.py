"""Imports point down the layers, are absolute, and never go through the package root."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sklearn_aae

PACKAGE = Path(sklearn_aae.__file__).parent
DOCS = Path(__file__).parent.parent / "docs"

LAYERS = [
    {
        "_acceleration",
        "_archive",
        "_compat",
        "_docs",
        "_files",
        "_labels",
        "_neighbors",
        "_plotting",
        "_scaling",
    },
    {
        "_density",
        "_flow",
        "_inference",
        "_likelihoods",
        "_sampling",
        "metrics",
        "modules",
        "priors",
    },
    {"_critics", "_diagnostics", "displays"},
    {"_build", "_encoding", "_terms"},
    {"_net", "_training_state"},
    {"_checkpoint"},
    {"callbacks"},
    {"_base"},
    {"_autoencoder", "_classifier", "_clusterer", "_conditional"},
    {"persistence"},
    {"__init__"},
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imported_modules(source):
    """Names of this package's modules that a source imports, outside TYPE_CHECKING blocks."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            module = node.module
            if module == "sklearn_aae":
                yield "__init__"
            elif module.startswith("sklearn_aae."):
                yield module.split(".")[1]
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "sklearn_aae":
                    yield [*alias.name.split("."), "__init__"][1]


def test_every_module_has_a_layer():
    assert set(MODULES) == set(LEVEL)


@pytest.mark.parametrize("name", MODULES)
def test_imports_point_down(name):
    for imported in imported_modules((PACKAGE / f"{name}.py").read_text()):
        assert LEVEL[imported] < LEVEL[name], f"{name} imports {imported}"


def test_the_design_page_has_these_layers():
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", (DOCS / "design.md").read_text(), re.MULTILINE)
    written = {int(level): set(re.findall(r"`(\w+)`", modules)) for level, modules in rows}
    assert written == dict(enumerate(LAYERS))
    figure = re.findall(r"<text[^>]*>([^<]*)</text>", (DOCS / "images/layers.svg").read_text())
    assert [set(text.split()) for text in figure[: len(LAYERS)]] == LAYERS[::-1]


def test_the_import_test_sees_an_import_that_points_up():
    source = "from sklearn_aae._estimators.base import BaseAdversarialAutoencoder"
    assert list(imported_modules(source)) == ["_base"]
    assert LEVEL["_base"] > LEVEL["priors"]


@pytest.mark.parametrize("name", ["sklearn_aae", "sklearn_aae.metrics"])
def test_import_does_not_load_torch(name):
    code = f"import {name}, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", [n for n in MODULES if n != "__init__"])
def test_private_names_of_scikit_learn_enter_in_one_place(name):
    if name == "_compat":
        return
    tree = ast.parse((PACKAGE / f"{name}.py").read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.split(".")[0] == "sklearn":
            names = [*node.module.split("."), *(alias.name for alias in node.names)]
            assert not [n for n in names if n.startswith("_")], f"{name}, line {node.lineno}"


def test_public_names():
    assert sorted(sklearn_aae.__all__) == [
        "AdversarialAutoencoder",
        "AdversarialAutoencoderClassifier",
        "AdversarialAutoencoderClusterer",
        "ConditionalAdversarialAutoencoder",
        "callbacks",
        "displays",
        "load",
        "metrics",
        "modules",
        "persistence",
        "priors",
        "save",
    ]
    assert all(hasattr(sklearn_aae, name) for name in sklearn_aae.__all__)
    with pytest.raises(AttributeError, match="no attribute 'Autoencoder'"):
        sklearn_aae.Autoencoder  # noqa: B018  # the access is the test
