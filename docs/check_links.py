"""Check that the links inside a built site lead somewhere: `python check_links.py FOLDER`."""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """Targets and anchors of one page."""

    def __init__(self, path):
        super().__init__()
        self.targets, self.anchors = [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("href", "src") and value:
                self.targets.append(value)
            elif name in ("id", "name") and value:
                self.anchors.add(value)


def main(folder):
    pages = {
        path.resolve(): Page(path)
        for path in sorted(folder.rglob("*.html"))
        if "_static" not in path.parts
    }
    broken, n_links = [], 0
    for path, page in pages.items():
        for target in page.targets:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            n_links += 1
            file = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            found = file.exists()
            if found and file in pages and unquote(parts.fragment) not in pages[file].anchors:
                found = False
            if not found:
                broken.append(f"{path.relative_to(folder.resolve())}: {target}")
    print(f"{n_links} links on {len(pages)} pages, {len(broken)} lead nowhere")
    print("\n".join(broken))
    return bool(broken) or not pages


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
