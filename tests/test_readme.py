"""The code in the README runs as it stands and does what it says."""

import re
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"


def test_the_code_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(code, str(README), "exec"), names)
    assert names["codes"].shape == (450, 8)
    assert names["images"].shape == names["clean"].shape == (450, 64)
    assert names["new"].shape == (5, 64)
    assert names["scores"].shape == names["flags"].shape == (450,)
    assert set(names["flags"]) == {-1, 1}
    assert names["accuracy"] > 0.85


def test_links_to_files_resolve():
    for target in re.findall(r"\]\(([^)#]+)\)", README.read_text()):
        if not target.startswith("http"):
            assert (README.parent / target).exists(), target
