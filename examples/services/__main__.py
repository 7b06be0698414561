"""Run it: `make example-services`, or `python examples/services`."""

from __future__ import annotations

import sys
from pathlib import Path

# The program of a folder belongs to no package, until its parent is where modules are looked for.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

from services.afternoon import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
