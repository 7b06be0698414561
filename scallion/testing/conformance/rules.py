"""What a conformance suite is made of: rules with a source, a report of what was broken, and plain assertions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

__all__ = ["Broken", "ConformanceError", "Report", "Rule", "Rules", "holds", "same"]

Body: TypeAlias = Callable[[Any], Coroutine[Any, Any, None]]


@dataclass(frozen=True)
class Rule:
    """One thing that every transport, or every middleware, has to do.

    Attributes:
        name: How it is called, in `skip` too.
        text: The rule, in a sentence.
        source: Where it comes from: a section of an RFC, or scallion's own contract.
        needs: Features without which it does not apply.
        colours: The colours that it is about.
    """

    name: str
    text: str
    source: str
    needs: frozenset[str]
    colours: frozenset[str]
    body: Body = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.name


class Rules:
    """The rules of one module, in their order; an instance is the decorator that collects them."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def __call__(
        self,
        source: str,
        *,
        needs: Iterable[str] = (),
        colours: Iterable[str] = ("sync", "asyncio", "trio"),
    ) -> Callable[[Body], Body]:
        """Make a rule of an `async def`; its name is the rule's, and its docstring the rule."""

        def collect(body: Body) -> Body:
            text = " ".join((body.__doc__ or "").split())
            made = Rule(body.__name__, text, source, frozenset(needs), frozenset(colours), body)
            self._rules.append(made)
            return body

        return collect

    def __iter__(self) -> Iterator[Rule]:
        return iter(self._rules)


@dataclass(frozen=True)
class Broken:
    """A rule that was broken in one colour, and how."""

    rule: Rule
    colour: str
    error: BaseException

    def __str__(self) -> str:
        what = str(self.error) or f"it failed {_where(self.error)}"
        if not isinstance(self.error, AssertionError):
            what = f"{type(self.error).__name__}: {what}"
        notes = "".join(f"\n    {note}" for note in getattr(self.error, "__notes__", ()))
        needs = f"; features {', '.join(sorted(self.rule.needs))}" if self.rule.needs else ""
        return (
            f"{self.rule.name} [{self.colour}]: {what}{notes}\n"
            f"    The rule: {self.rule.text} ({self.rule.source}{needs})"
        )


@dataclass
class Report:
    """What a suite found.

    Attributes:
        passed: Names of rules and the colours in which they were kept.
        broken: What was not.
        skipped: Names of the rules that did not apply, for want of a feature, or were skipped on request.
    """

    passed: list[tuple[str, str]] = field(default_factory=list)
    broken: list[Broken] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    def raise_if_broken(self) -> None:
        """Raise one `ConformanceError` that names every broken rule; nothing if there is none."""
        if self.broken:
            raise ConformanceError(self) from ExceptionGroup(
                "what was raised", [_as_exception(broken.error) for broken in self.broken]
            )

    def __str__(self) -> str:
        head = f"{len(self.passed)} kept, {len(self.broken)} broken, {len(self.skipped)} skipped"
        return "\n".join([head, *(f"  {broken}" for broken in self.broken)])


class ConformanceError(AssertionError):
    """Rules were broken; the message names each, its source, and what was seen.

    Attributes:
        report: All that the suite found.
    """

    def __init__(self, report: Report) -> None:
        super().__init__(f"{report}")
        self.report = report

    def __reduce__(self) -> tuple[Any, ...]:
        # What rules are made of does not pickle; what they say does.
        return AssertionError, self.args


def _where(error: BaseException) -> str:
    """Where an error without words was raised."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    if traceback is None:
        return "somewhere"
    code = traceback.tb_frame.f_code
    return f"in {code.co_qualname}, {code.co_filename}:{traceback.tb_lineno}"


def _as_exception(error: BaseException) -> Exception:
    return error if isinstance(error, Exception) else RuntimeError(repr(error))


def check_names(known: Collection[str], given: Iterable[str], what: str) -> frozenset[str]:
    """`given` as a set.

    Raises:
        ValueError: it holds an unknown name, or is one string instead of several.
    """
    if isinstance(given, str):
        raise ValueError(f"{what} is a collection of names: write {{{given!r}}}")
    names = frozenset(given)
    unknown = sorted(names - set(known))
    if unknown:
        raise ValueError(
            f"{what} names {', '.join(map(repr, unknown))}, which is not among: {', '.join(sorted(known))}"
        )
    return names


def same(expected: object, actual: object, what: str) -> None:
    """Fail with both values, shortened, unless they are equal."""
    if expected != actual:
        raise AssertionError(f"{what}: expected {_short(expected)}, got {_short(actual)}")


def holds(condition: object, message: str) -> None:
    """Fail with `message` unless `condition` is true. Unlike `assert` it is there under `python -O`."""
    if not condition:
        raise AssertionError(message)


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 300 else f"{shown[:300]}... ({len(shown)} characters)"
