"""What the processes of the gates are told."""

from __future__ import annotations

import os


def environment() -> dict[str, str]:
    """What a measure's process is told: nothing that would have a coverage tool, a debugger or a proxy take part."""
    told = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in told if name in os.environ}
