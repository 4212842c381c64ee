"""Configuration of the documentation: `make docs`."""

import ast
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

DOCS = Path(__file__).parent.resolve()
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

# matplotlib draws to files; the small networks of the examples gain nothing from more threads.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import sklearn_aae

project = "sklearn-aae"
author = "The sklearn-aae developers"
copyright = f"{datetime.now(UTC).year}, {author}"
version = release = sklearn_aae.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "benchmark_tables.md", "examples"]
templates_path = ["_templates"]

# Every reference must resolve, except those to other projects: the documentation builds offline.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:obj", "set_output"),  # inherited from scikit-learn
    (r"py:.*", r"(numpy|np|sklearn|skorch|scipy|torch|nn|matplotlib|pathlib|collections|Any).*"),
]
suppress_warnings = ["config.cache"]  # sphinx-gallery's sorting classes are not pickled

autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the docstrings say it, with shapes
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False
default_role = "autolink"
smartquotes = False  # "auto" is to be copied as it stands
highlight_language = "none"  # of blocks that do not say theirs: commands and output

myst_enable_extensions = ["dollarmath", "deflist", "colon_fence"]
myst_heading_anchors = 3

sphinx_gallery_conf = {
    "examples_dirs": "examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "capture_repr": (),  # what examples print, and nothing else
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "default_thumb_file": str(DOCS / "images" / "three_players.svg"),
    "doc_module": ("sklearn_aae",),
    "backreferences_dir": "api/backreferences",
    "reference_url": {"sklearn_aae": None},
}

html_theme = "pydata_sphinx_theme"
html_title = "sklearn-aae"
html_static_path = ["_static"]
html_css_files = ["site.css"]
# Pages without pages below them.
_ALONE = ("getting_started", "benchmarks", "design", "reliability", "performance", "changelog")
html_sidebars = {page: [] for page in _ALONE}
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "navbar_align": "left",
    "show_prev_next": False,
    "show_toc_level": 2,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navigation_with_keys": False,
}


def _write_benchmarks(app):
    """One section for each committed table: what its script says, the command, the file itself."""
    tables = sorted((ROOT / "benchmarks" / "results").glob("*.md"))
    sections = []
    for table in tables:
        script = ROOT / "benchmarks" / f"{table.stem}.py"
        title, _, text = ast.get_docstring(ast.parse(script.read_text())).partition("\n\n")
        sections += [
            f"### {title.rstrip('.')}",
            re.sub(r"results/\w+\.(jsonl|md)", r"`benchmarks/\g<0>`", text),
            f"```\npython benchmarks/{script.name}\n```",
            f"```{{include}} ../benchmarks/results/{table.name}\n:heading-offset: 2\n```",
        ]
    (DOCS / "benchmark_tables.md").write_text("\n\n".join(sections) + "\n")


def _mend_docstring(app, what, name, obj, options, lines):
    """Make reStructuredText of what numpydoc leaves as it is."""
    for i, line in enumerate(lines):
        # Inherited docstrings refer to chapters of scikit-learn's guide: keep their words.
        line = re.sub(r":ref:`([^<`]*?)\s*<[^>]*>`", r"\g<1>", line)
        if name.startswith("sklearn_aae.dask."):  # where names of the package are not at hand
            line = re.sub(r"`(AdversarialAutoencoder(\.\w+)?)`", r"`~sklearn_aae.\g<1>`", line)
        if "of shape" in line:  # a name with a trailing underscore would be a link
            line = re.sub(r"(\w)_([,)])", r"\g<1>\\_\g<2>", line)
        lines[i] = line


def setup(app):
    app.connect("autodoc-process-docstring", _mend_docstring, priority=900)
    app.connect("builder-inited", _write_benchmarks)
