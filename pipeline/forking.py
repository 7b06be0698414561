"""Forks: what a child process has of its parent's threads, although the threads stayed behind.

A child gets a copy of the parent's memory, and of all threads the one that forked. What the others had under way is
under way there for ever, and a lock that one of them held is never released. So whoever keeps such things begins anew
in the child, before any of the child's own code runs. Requests pay nothing for it.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet

__all__ = ["Renewed", "renewed_in_children"]


class Renewed(Protocol):
    """What begins anew in a child process."""

    def renew(self) -> None:
        """After a fork, in the child: have locks of its own, and nobody under way.

        No other thread runs by then. One may have been in the midst of a step, whose lock is taken for ever.
        """


_known: WeakSet[Renewed] = WeakSet()


def renewed_in_children(thing: Renewed) -> None:
    """Have `thing.renew` called in each child that is forked from now on, as long as `thing` is in use.

    Where there is no fork, this does nothing.
    """
    _known.add(thing)


def _renew_all() -> None:
    for thing in tuple(_known):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
