"""`check_transport`: does a transport keep its contract? Every rule, in every colour, each with a fresh transport."""

from __future__ import annotations

from collections.abc import Iterable

from . import (
    transport_bodies,
    transport_company,
    transport_faults,
    transport_life,
    transport_messages,
)
from .bench import METHODS, Bench, Factory
from .colours import COLOURS, Colour, drive
from .reference import Reference
from .rules import Broken, Report, Rule, check_names

__all__ = [
    "FEATURES",
    "HTTP1",
    "HTTP2",
    "IN_PROCESS",
    "TransportCheck",
    "check_transport",
    "transport_checks",
]

RULES: tuple[Rule, ...] = (
    *transport_messages.rules,
    *transport_bodies.rules,
    *transport_faults.rules,
    *transport_company.rules,
    *transport_life.rules,
)

HTTP1 = frozenset(
    {
        "deadline",
        "direct",
        "faults",
        "header-case",
        "network",
        "pool",
        "reason",
        "reuse",
        "streaming",
        "timeouts",
        "trailers",
        "truncation",
        "upload",
    }
)
"""What a transport for HTTP/1.1 promises, and the default."""

HTTP2 = HTTP1 - {"header-case", "pool", "reason"}
"""What one for HTTP/2 promises: names are in lower case, there is no reason phrase, and streams share a connection."""

IN_PROCESS = frozenset({"streaming", "truncation"})
"""What one promises that calls something in the same process: no network can fail there."""

FEATURES = HTTP1 | HTTP2 | IN_PROCESS


class TransportCheck:
    """One rule, to be called with a factory; `str()` and `id` name it."""

    def __init__(
        self,
        rule: Rule,
        features: frozenset[str],
        colours: tuple[Colour, ...] | None,
        patience: float,
    ) -> None:
        self.rule = rule
        self.features = features
        self.patience = patience
        self._colours = colours

    def __call__(self, factory: Factory) -> None:
        """Check the rule in every colour.

        Raises:
            ConformanceError: it was broken.
        """
        report = Report()
        self.into(report, factory, self._colours or colours_of(factory))
        report.raise_if_broken()

    def into(self, report: Report, factory: Factory, colours: Iterable[Colour]) -> None:
        """The same, with what was found added to `report`."""
        for colour in colours:
            if colour not in self.rule.colours:
                continue
            with Reference(colour, self.patience) as reference:
                try:
                    drive(colour, lambda: self._play(factory, reference), self.patience * 6)
                except Exception as error:  # noqa: BLE001  # it goes into the report
                    report.broken.append(Broken(self.rule, colour, error))
                else:
                    report.passed.append((self.rule.name, colour))

    async def _play(self, factory: Factory, reference: Reference) -> None:
        bench = Bench(reference, factory, self.features, self.patience)
        try:
            await self.rule.body(bench)
        finally:
            await bench.aclose()

    def __str__(self) -> str:
        return self.rule.name

    def __repr__(self) -> str:
        return f"<TransportCheck {self.rule.name}: {self.rule.text} ({self.rule.source})>"

    @property
    def __name__(self) -> str:
        # What pytest takes for a parameter's id.
        return self.rule.name


def transport_checks(
    *,
    colours: Iterable[Colour] | None = None,
    features: Iterable[str] = HTTP1,
    skip: Iterable[str] = (),
    patience: float = 5.0,
) -> list[TransportCheck]:
    """The rules that apply, one by one; arguments as of `check_transport`.

    `@pytest.mark.parametrize("check", transport_checks())` makes a test of each, whose body is `check(factory)`.
    """
    promised = check_names(FEATURES, features, "features")
    left_out = check_names({rule.name for rule in RULES}, skip, "skip")
    wanted = _checked_colours(colours)
    return [
        TransportCheck(rule, promised, wanted, patience)
        for rule in RULES
        if rule.needs <= promised and rule.name not in left_out
    ]


def check_transport(
    factory: Factory,
    *,
    colours: Iterable[Colour] | None = None,
    features: Iterable[str] = HTTP1,
    skip: Iterable[str] = (),
    patience: float = 5.0,
) -> Report:
    """Check that a transport keeps the contract of `BaseTransport` and `AsyncBaseTransport`.

    For every rule and colour the factory makes a fresh transport. It is given a `Reference`, which offers the
    server that the rules expect in several forms: `url`, `tls_url`, `unix_socket`, `asgi`, `wsgi`, `handler`. It
    returns the transport, or a pair of it and the URL under which the reference is found; `reference.url` without.

    Args:
        factory: `reference -> transport`, or `reference -> (transport, base_url)`.
        colours: Some of "sync", "asyncio" and "trio"; None for those whose method the transport has.
        features: What the transport promises beyond the rules for all: `HTTP1`, `HTTP2`, `IN_PROCESS`, or a set
            of single ones.
        skip: Names of rules that are left out.
        patience: Seconds after which what has not happened is taken for something that never will.

    Returns:
        What was found; `str()` of it is a summary.

    Raises:
        ConformanceError: rules were broken. It is an AssertionError, and its message names each.
        ValueError: a feature, colour or rule is unknown, or there is no colour to check.
    """
    checks = transport_checks(colours=colours, features=features, skip=skip, patience=patience)
    chosen = _checked_colours(colours) or colours_of(factory)
    names = {str(check) for check in checks}
    report = Report(skipped=[rule.name for rule in RULES if rule.name not in names])
    for check in checks:
        check.into(report, factory, chosen)
    report.raise_if_broken()
    return report


def _checked_colours(colours: Iterable[Colour] | None) -> tuple[Colour, ...] | None:
    if colours is None:
        return None
    names = check_names(COLOURS, colours, "colours")
    if not names:
        raise ValueError(f"There is no colour to check: give some of {', '.join(COLOURS)}, or None")
    return tuple(colour for colour in COLOURS if colour in names)


def colours_of(factory: Factory) -> tuple[Colour, ...]:
    """The colours in which the factory makes something that has the colour's method."""

    def fits(colour: Colour) -> bool:
        async def ask() -> bool:
            with Reference(colour) as reference:
                made = factory(reference)
                transport = made[0] if isinstance(made, tuple) else made
                if not hasattr(transport, METHODS[colour]):
                    return False
                if colour == "sync":
                    transport.close()
                else:
                    await transport.aclose()
                return True

        return drive(colour, ask, 30.0)

    found = tuple(colour for colour in COLOURS if fits(colour))
    if not found:
        raise ValueError(
            "The factory makes nothing with handle_request() or handle_async_request(), so there is nothing to check"
        )
    return found
