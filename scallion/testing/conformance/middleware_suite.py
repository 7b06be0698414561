"""`check_middleware`: does a layer keep the onion's rules? Every rule, in every colour, in every scenario."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from . import middleware_ownership, middleware_state
from .colours import COLOURS, Colour, drive
from .onion_bench import MiddlewareBench, MiddlewareFactory, colours_of
from .rules import Broken, Report, Rule, check_names

__all__ = ["MiddlewareCheck", "check_middleware", "middleware_checks"]

RULES: tuple[Rule, ...] = (*middleware_ownership.rules, *middleware_state.rules)


class MiddlewareCheck:
    """One rule, to be called with a factory; `str()` names it."""

    def __init__(
        self,
        rule: Rule,
        colours: tuple[Colour, ...] | None,
        secrets: tuple[str, ...],
        patience: float,
    ) -> None:
        self.rule = rule
        self._colours = colours
        self._secrets = secrets
        self._patience = patience

    def __call__(self, factory: MiddlewareFactory) -> None:
        """Check the rule in every colour.

        Raises:
            ConformanceError: it was broken.
        """
        report = Report()
        self.into(report, factory)
        report.raise_if_broken()

    def into(self, report: Report, factory: MiddlewareFactory) -> None:
        """The same, with what was found added to `report`."""
        for colour in self._colours or colours_of(factory()):
            if colour not in self.rule.colours:
                continue
            bench = MiddlewareBench(factory, colour, self._secrets, self._patience)
            try:
                drive(colour, partial(self.rule.body, bench), self._patience * 6)
            except Exception as error:  # noqa: BLE001  # it goes into the report
                report.broken.append(Broken(self.rule, colour, error))
            else:
                report.passed.append((self.rule.name, colour))

    def __str__(self) -> str:
        return self.rule.name

    def __repr__(self) -> str:
        return f"<MiddlewareCheck {self.rule.name}: {self.rule.text} ({self.rule.source})>"

    @property
    def __name__(self) -> str:
        # What pytest takes for a parameter's id.
        return self.rule.name


def middleware_checks(
    *,
    colours: Iterable[Colour] | None = None,
    secrets: Iterable[str] = (),
    skip: Iterable[str] = (),
    patience: float = 5.0,
) -> list[MiddlewareCheck]:
    """The rules, one by one; arguments as of `check_middleware`.

    `@pytest.mark.parametrize("check", middleware_checks())` makes a test of each, whose body is `check(factory)`.
    """
    left_out = check_names({rule.name for rule in RULES}, skip, "skip")
    wanted = None
    if colours is not None:
        names = check_names(COLOURS, colours, "colours")
        wanted = tuple(colour for colour in COLOURS if colour in names)
    if isinstance(secrets, str):
        raise ValueError(f"secrets is a collection of strings: write [{'...'!r}]")
    return [
        MiddlewareCheck(rule, wanted, tuple(secrets), patience)
        for rule in RULES
        if rule.name not in left_out
    ]


def check_middleware(
    factory: MiddlewareFactory,
    *,
    colours: Iterable[Colour] | None = None,
    secrets: Iterable[str] = (),
    skip: Iterable[str] = (),
    patience: float = 5.0,
) -> Report:
    """Check that a middleware keeps the rules of the onion.

    For every rule and scenario the factory makes a fresh middleware: an `async def` function, an instance, or a
    plain function. The rest of the onion is played, over a clock of its own; nothing waits and nothing is sent.

    Args:
        factory: Makes the middleware, configured as it is to be used; it is called without arguments.
        colours: Some of "sync", "asyncio" and "trio"; None for all, or for "sync" if it is a plain function.
        secrets: Strings that the factory configured it with, and that nothing may show.
        skip: Names of rules that are left out.
        patience: Seconds after which what has not happened is taken for something that never will.

    Returns:
        What was found; `str()` of it is a summary.

    Raises:
        ConformanceError: rules were broken. It is an AssertionError, and its message names each.
        ValueError: a colour or rule is unknown.
    """
    checks = middleware_checks(colours=colours, secrets=secrets, skip=skip, patience=patience)
    names = {str(check) for check in checks}
    report = Report(skipped=[rule.name for rule in RULES if rule.name not in names])
    for check in checks:
        check.into(report, factory)
    report.raise_if_broken()
    return report
