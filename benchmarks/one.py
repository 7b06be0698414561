"""One client in one case, in a process of its own: `one.py CORE CLIENT CASE URL REQUESTS WARM_UP`.

Prints a JSON object: `cpu_us` and `per_second`, or `unavailable` with the reason.
"""

from __future__ import annotations

import json
import sys

from cases import CASES, Unavailable, measure
from machine import pin


def main(core: str, client: str, case: str, url: str, requests: str, warm_up: str) -> None:
    pin(int(core))
    try:
        sample = measure(client, CASES[case], url, int(requests), int(warm_up))
    except Unavailable as error:
        print(json.dumps({"unavailable": str(error)}))
    else:
        print(json.dumps(sample._asdict()))


if __name__ == "__main__":
    main(*sys.argv[1:])
