"""The error for a request that no route foresaw: what was asked, which route is nearest, and what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from scallion.pipeline.request import Request

from .routes import Route
from .seen import Seen
from .showing import called, show_body, show_difference, show_url

__all__ = ["UnforeseenRequest", "refusal"]


class UnforeseenRequest(AssertionError):
    """No route of the router takes this request.

    It is an `AssertionError`, and no `HTTPError`: neither retries nor a program's own handling of failures take it for
    a failure of the network. A program that swallows it is found out when the router is verified.

    Attributes:
        request: What was asked.
        nearest: The route that fits it best, or None if there is no route.
    """

    def __init__(self, message: str, request: Request, nearest: Route | None) -> None:
        super().__init__(message)
        self.request = request
        self.nearest = nearest

    def __reduce__(self) -> tuple[Any, ...]:
        # A route belongs to its process.
        return type(self), (self.args[0], self.request, None)


def refusal(seen: Seen, routes: Sequence[Route]) -> UnforeseenRequest:
    """The error, complete with its message. Secrets are left out."""
    nearest = max(routes, key=lambda route: _nearness(route, seen), default=None)
    lines = ["No route takes this request:", "", *_asked(seen), ""]
    if nearest is None:
        lines.append("The router has no routes.")
    else:
        lines += ["The nearest route is", "", f"    {nearest.text}", "", *_compared(nearest, seen)]
    if len(routes) > 1:
        lines += ["", "The routes are:"]
        lines += [
            f"    {route.text}  ({called(len(route.calls))}{', used up' if route.used_up else ''})"
            for route in routes
        ]
    return UnforeseenRequest("\n".join(lines), seen.request, nearest)


def _nearness(route: Route, seen: Seen) -> float:
    """How well a route fits, at most 7: most by its URL, then by its method, then by its other conditions."""
    differing = {name for name, _ in route.differences(seen)}
    others = [each.name for each in route.conditions if each.name not in ("method", "url")]
    score = 2.0 if "method" not in differing else 0.0
    score += 4.0 * (route.pattern.nearness(seen.url) if "url" in differing else 1.0)
    if others:
        score += sum(name not in differing for name in others) / len(others)
    else:
        score += 1.0
    return score


def _asked(seen: Seen) -> Iterator[str]:
    yield f"    {seen.request.method} {show_url(seen.url)}"
    body = show_body(seen)
    if body:
        yield f"    {body}"


def _compared(route: Route, seen: Seen) -> Iterator[str]:
    differing: dict[str, list[str]] = {}
    for name, difference in route.differences(seen):
        differing.setdefault(name, []).append(show_difference(difference))
    width = max(len(condition.name) for condition in route.conditions)
    for name in dict.fromkeys(condition.name for condition in route.conditions):
        told = differing.get(name, ["as expected"])
        yield f"    {name:{width}}  {told[0]}"
        yield from (f"    {'':{width}}  {line}" for line in told[1:])
    if route.used_up:
        yield f"    It is used up: {called(len(route.calls))}."
