"""What it costs to keep fewer training rows, or means of rows: the benchmark of outliers, in short.

The default AdversarialAutoencoder with 200 and 20 references and with means of rows, in both
protocols of outliers.py, one seed.

Results are appended run by run to results/references.jsonl, so that an interrupted benchmark goes
on where it stopped; tables are written to results/references.md.
"""

import sys

from outliers import KEPT, RESULTS, main

if __name__ == "__main__":
    detectors = ["--detectors", "AdversarialAutoencoder", *KEPT]
    out = ["--seeds", "0", "--out", str(RESULTS / "references.jsonl")]
    main([*detectors, *out, *sys.argv[1:]])
