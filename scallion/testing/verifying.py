"""What is checked in the end: that all was called, that nothing was refused, that all was read or closed."""

from __future__ import annotations

from collections.abc import Iterator

from .calls import Called
from .refusal import UnforeseenRequest
from .routes import Route
from .showing import number

__all__ = ["Verified"]

_MOST_SHOWN = 3
"""Of the requests that were refused, so many are told in full."""


class Verified(Called):
    """The half of `Router` that looks back."""

    unforeseen: list[UnforeseenRequest]
    expects_called: bool
    expects_foreseen: bool
    expects_closed: bool

    @property
    def routes(self) -> tuple[Route, ...]:
        """In the order in which they are asked."""
        raise NotImplementedError

    def verify(self) -> None:
        """Check that what was expected happened, as far as the router is to expect it.

        Raises:
            AssertionError: each thing that did not, and what was called.
        """
        problems = list(self.problems())
        if problems:
            raise AssertionError("\n".join(problems))

    def assert_all_called(self) -> None:
        """Check that each route was called as often as it is to be: `times`, or once at least if not optional.

        Raises:
            AssertionError: which were not.
        """
        problems = list(self._uncalled())
        if problems:
            raise AssertionError("\n".join(problems))

    def assert_called_in_order(self, *routes: Route) -> None:
        """Check that these routes were called one after the other; other calls may lie between.

        Raises:
            AssertionError: they were not, and what was called.
        """
        taken = iter([call.route for call in self.calls])
        for position, route in enumerate(routes):
            if not any(each is route for each in taken):
                before = f" after {routes[position - 1].text}" if position else ""
                lines = [f"{route.text}: not called{before}", *self._told()]
                raise AssertionError("\n".join(lines))

    def problems(self) -> Iterator[str]:
        """What `verify` finds, in lines."""
        if self.expects_foreseen and self.unforeseen:
            yield f"{number(len(self.unforeseen), 'request was', 'requests were')} refused:"
            for error in self.unforeseen[:_MOST_SHOWN]:
                yield f"\n{error}"
            if len(self.unforeseen) > _MOST_SHOWN:
                yield f"\nAnd {len(self.unforeseen) - _MOST_SHOWN} more."
            yield ""
        if self.expects_called:
            yield from self._uncalled()
        if self.expects_closed:
            yield from self._unclosed()

    def _uncalled(self) -> Iterator[str]:
        unmet = [told for route in self.routes if (told := route.unmet()) is not None]
        if unmet:
            yield f"{number(len(unmet), 'route was', 'routes were')} not called as expected:"
            yield from (f"    {told}" for told in unmet)
            yield from self._told()

    def _unclosed(self) -> Iterator[str]:
        left = [
            call for call in self.calls if call.response is not None and not call.response.is_closed
        ]
        if left:
            yield (
                f"{number(len(left), 'response was', 'responses were')} neither read nor closed; "
                "on a network each would hold a connection (mock(strict=True) finds a middleware that does it):"
            )
            yield from (f"    {repr(call)[6:-1]}" for call in left)

    def _told(self) -> Iterator[str]:
        if not self.calls:
            yield "There were no calls."
            return
        yield "The calls were:"
        yield from (f"    {line}" for line in self.calls.lines())
