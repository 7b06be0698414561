"""So many requests of one client and nothing else, for who traces it: `several.py CLIENT CASE URL SIZE REQUESTS`.

Prints `done` when it is.
"""

from __future__ import annotations

import sys

from cases import CASES
from clients import adapter
from endpoint import Endpoint
from measures.running import job_of, run


def main(client: str, name: str, url: str, size: str, requests: str) -> None:
    case, ready = CASES[name], adapter(client)
    job = job_of(case, Endpoint(url, int(size)))
    if case.colour == "sync":
        with ready.sync(job) as once:
            for _ in range(int(requests)):
                once()
        print("done", flush=True)
        return

    async def scenario() -> None:
        async with ready.asyncio(job) as once:
            for _ in range(int(requests)):
                await once()
        print("done", flush=True)

    run(case, scenario())


if __name__ == "__main__":
    main(*sys.argv[1:])
