"""`client.pool`: the pools of a client's transports, together and each by its mount."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scallion.transports.pool_state import PoolState, combined, summed

__all__ = ["DEFAULT", "pools_of"]

DEFAULT = "default"
"""The name of the transport that serves what no mount does."""


def pools_of(transports: Iterable[tuple[str, Any]]) -> PoolState:
    """What the pools of these transports hold.

    Args:
        transports: With their names. One under several names counts once; one that has no pool, not at all.
    """
    names: dict[int, list[str]] = {}
    states: dict[int, PoolState] = {}
    for name, transport in transports:
        if id(transport) not in names:
            state = getattr(transport, "pool", None)
            if not isinstance(state, PoolState):
                continue
            states[id(transport)] = state
        names.setdefault(id(transport), []).append(name)
    parts = {", ".join(names[which]): state for which, state in states.items()}
    return combined(parts, summed(state.limit for state in parts.values()))
