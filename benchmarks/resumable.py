"""Results that survive an interruption: one JSON object a line, appended run by run."""

import json
import time

from tqdm.auto import tqdm


class Results:
    """Rows of a benchmark in a file, each with a key that tells whether it was run already."""

    def __init__(self, path):
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.rows = []
        if path.exists():
            self.rows = [json.loads(line) for line in path.read_text().splitlines()]

    def complete(self, plan):
        """Run the functions of a plan, (key, function) pairs, whose keys have no row yet.

        A function returns the values of its row; its seconds are added.
        """
        missing = [(key, run) for key, run in plan if not self._has(key)]
        for key, run in tqdm(missing, unit="run"):
            start = time.perf_counter()
            row = key | run()
            row.setdefault("seconds", time.perf_counter() - start)
            self.rows.append(row)
            with self.path.open("a") as file:
                file.write(json.dumps(row) + "\n")
            tqdm.write(json.dumps(row))

    def _has(self, key):
        return any(key.items() <= row.items() for row in self.rows)

    def write_table(self, lines):
        text = "\n".join(lines) + "\n"
        self.path.with_suffix(".md").write_text(text)
        print(text)
