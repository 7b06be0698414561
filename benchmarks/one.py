"""One client in one case, in a process of its own: `one.py CORE CLIENT CASE SECONDS [URL SIZE [CA]]`.

Prints a JSON object: a sample and its calibrations, or `unavailable` with the reason.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from calibration import calibrate
from cases import CASES
from clients import Unavailable, adapter
from endpoint import Endpoint
from machine import pin
from measures import Budget, measure_of


def main(core: str, client: str, case: str, seconds: str, *endpoint: str) -> None:
    pin(int(core))
    chosen = CASES[case]
    where = None
    if endpoint:
        url, size, *ca = endpoint
        where = Endpoint(url, int(size), ca[0] if ca else None)
    budget = Budget(float(seconds), least=2 if chosen.unit == "ms" else 20)
    try:
        ready = adapter(client)
        before = 0.0 if chosen.counted else calibrate()
        sample = measure_of(chosen)(ready, chosen, where, budget)
        after = 0.0 if chosen.counted else calibrate()
        if client == "scallion-speed" and sys.modules.get("jh2") is None:
            raise Unavailable("does not use jh2")
    except Unavailable as error:
        print(json.dumps({"unavailable": str(error)}))
    else:
        print(json.dumps({**asdict(sample), "calibration": [before, after]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
