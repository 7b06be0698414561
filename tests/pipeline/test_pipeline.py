"""The pipeline: an immutable value that tells which layers there are."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from scallion.pipeline.layer import Layer
from scallion.pipeline.onion import Next
from scallion.pipeline.pipeline import PER_ATTEMPT, PER_CALL, Pipeline
from scallion.pipeline.request import Request
from scallion.pipeline.response import Response
from support.colours import Drive
from support.worlds import World, open_response


class Named(Layer):
    """A layer that says that it was there."""

    option = None

    def __init__(self, name: str = "") -> None:
        self.name = name

    async def __call__(self, request: Request, call_next: Next) -> Response:
        request.extensions.setdefault("passed", []).append(self.name or type(self).__name__)
        return await call_next(request)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.name == self.name

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"


class A(Named):
    option = "scallion.A"


class B(Named):
    option = "scallion.B"


class SubA(A):
    pass


class X(Named):
    pass


class Y(Named):
    pass


async def function(request: Request, call_next: Next) -> Response:
    return await call_next(request)


a, b, x, y = A(), B(), X(), Y()


def names(pipeline: Pipeline) -> list[str]:
    return [repr(layer) for layer in pipeline.layers]


def shown(*layers: Any) -> list[str]:
    return [repr(layer) for layer in layers]


EDITS: dict[str, tuple[Callable[[Pipeline], Pipeline], list[Any]]] = {
    "before": (lambda p: p.before(B, x, y), [PER_CALL, a, x, y, b, PER_ATTEMPT]),
    "before the first": (lambda p: p.before(A, x), [PER_CALL, x, a, b, PER_ATTEMPT]),
    "before a slot": (lambda p: p.before(PER_CALL, x), [x, PER_CALL, a, b, PER_ATTEMPT]),
    "after": (lambda p: p.after(A, x, y), [PER_CALL, a, x, y, b, PER_ATTEMPT]),
    "after a slot": (lambda p: p.after(PER_ATTEMPT, x), [PER_CALL, a, b, PER_ATTEMPT, x]),
    "replace": (lambda p: p.replace(A, x, y), [PER_CALL, x, y, b, PER_ATTEMPT]),
    "without": (lambda p: p.without(A), [PER_CALL, b, PER_ATTEMPT]),
    "per call": (lambda p: p.per_call(x, y), [x, y, PER_CALL, a, b, PER_ATTEMPT]),
    "per attempt": (lambda p: p.per_attempt(x, y), [PER_CALL, a, b, x, y, PER_ATTEMPT]),
    "per call, twice": (lambda p: p.per_call(x).per_call(y), [x, y, PER_CALL, a, b, PER_ATTEMPT]),
    "nothing": (lambda p: p.before(A), [PER_CALL, a, b, PER_ATTEMPT]),
}


@pytest.mark.parametrize("case", EDITS)
def test_editing_returns_a_new_pipeline(case: str) -> None:
    """
    An edit puts layers where it says, and leaves what it was made from as it was.
    """
    edit, expected = EDITS[case]
    pipeline = Pipeline(a, b)

    assert shown(*expected) == names(edit(pipeline))
    assert shown(PER_CALL, a, b, PER_ATTEMPT) == names(pipeline)


def test_slots_stand_where_they_are_named() -> None:
    """
    A slot that is not named is added at its end of the onion.
    """
    assert shown(PER_CALL, PER_ATTEMPT) == names(Pipeline())
    assert shown(a, PER_CALL, b, PER_ATTEMPT) == names(Pipeline(a, PER_CALL, b))
    assert shown(PER_CALL, a, PER_ATTEMPT, b) == names(Pipeline(a, PER_ATTEMPT, b))


@pytest.mark.parametrize("slot", [PER_CALL, PER_ATTEMPT])
def test_a_slot_stands_once(slot: Any) -> None:
    """
    Naming a slot twice is refused.
    """
    with pytest.raises(ValueError, match=f"one slot '{slot.name}', not several"):
        Pipeline(slot, a, slot)


def test_slots_stand_in_order() -> None:
    """
    Per call lies outside per attempt; the other way round is refused.
    """
    with pytest.raises(ValueError, match="name PER_CALL first"):
        Pipeline(PER_ATTEMPT, a, PER_CALL)


@pytest.mark.parametrize("edit", [Pipeline.without, Pipeline.replace])
def test_slots_stay(edit: Any) -> None:
    """
    A slot cannot be taken out.
    """
    with pytest.raises(TypeError, match="<slot: per call> stays"):
        edit(Pipeline(a), PER_CALL)


@pytest.mark.parametrize("wrong", [A, None, "A", [a]])
def test_what_is_no_layer_is_refused_at_once(wrong: Any) -> None:
    """
    Not the client that uses the pipeline complains, but the line that makes it.
    """
    with pytest.raises(TypeError, match=r"is a class|is no middleware"):
        Pipeline(wrong)
    with pytest.raises(TypeError, match=r"is a class|is no middleware"):
        Pipeline(a).per_call(wrong)


@pytest.mark.parametrize("edit", ["before", "after", "replace", "without"])
@pytest.mark.parametrize("target", [X, x, function])
def test_an_absent_target_is_an_error(edit: str, target: Any) -> None:
    """
    The message lists what is there.
    """
    with pytest.raises(LookupError) as info:
        getattr(Pipeline(a, b, partial(function)), edit)(target)

    wanted = getattr(target, "__name__", repr(target))
    assert f"This pipeline has no {wanted}; it has: A, B, function" == str(info.value)


def test_an_absent_target_in_an_empty_pipeline() -> None:
    """
    Slots are no layers.
    """
    with pytest.raises(LookupError, match=r"it has: none$"):
        Pipeline().without(A)


def test_the_outermost_of_a_class_is_the_target() -> None:
    """
    Subclasses count; of several the outermost is meant; an instance or a function may be named as well.
    """
    pipeline = Pipeline(SubA("1"), A("2"), function)

    assert shown(PER_CALL, A("2"), function, PER_ATTEMPT) == names(pipeline.without(A))
    inner = pipeline.layers[2]
    assert inner not in pipeline.before(inner, x).without(SubA).replace(inner, y)
    assert function not in pipeline.without(function)


def test_nothing_can_be_assigned() -> None:
    """
    A pipeline is a value.
    """
    pipeline = Pipeline(a)

    with pytest.raises(AttributeError, match="cannot be changed"):
        pipeline.layers = ()
    with pytest.raises(AttributeError, match="cannot be changed"):
        del pipeline.layers
    with pytest.raises(AttributeError, match="cannot be changed"):
        pipeline.anything = 1  # type: ignore[attr-defined]


def test_find_and_contains() -> None:
    """
    A layer is found by its class or a base, contained by its class or itself.
    """
    sub = SubA()
    pipeline = Pipeline(sub, a, function)

    assert sub is pipeline.find(A)
    assert sub is pipeline.find(SubA)
    assert sub is pipeline.find(object)
    assert pipeline.find(B) is None
    assert A in pipeline
    assert B not in pipeline
    assert a in pipeline
    assert function in pipeline
    assert PER_CALL in pipeline
    assert "A" not in pipeline


def test_options_are_those_of_the_layers() -> None:
    """
    Each layer with an `option` reads that key; others, functions too, read none.
    """
    assert frozenset({"scallion.A", "scallion.B"}) == Pipeline(a, b, x, function).options
    assert frozenset() == Pipeline().options


def test_len_and_iter_leave_slots_out() -> None:
    """
    A pipeline is as long as it has layers.
    """
    pipeline = Pipeline(a, b)

    assert 2 == len(pipeline)
    assert [a, b] == list(pipeline)
    assert 0 == len(Pipeline())


def test_equality() -> None:
    """
    Equal layers in the same order make equal pipelines, and equal hashes.
    """
    assert Pipeline(A("1"), b) == Pipeline(A("1"), b)
    assert hash(Pipeline(A("1"), b)) == hash(Pipeline(A("1"), b))
    assert Pipeline(A("1")) != Pipeline(A("2"))
    assert Pipeline(a, b) != Pipeline(b, a)
    assert Pipeline(a).strict() != Pipeline(a)
    assert Pipeline(a) == Pipeline(PER_CALL, a, PER_ATTEMPT)
    assert Pipeline(a) != (a,)


def test_repr_draws_the_onion() -> None:
    """
    One layer a line, outermost first; what has no repr of its own is named.
    """

    class Bare:
        async def __call__(self, request: Request, call_next: Next) -> Response:
            return await call_next(request)

        async def method(self, request: Request, call_next: Next) -> Response:
            return await call_next(request)

    pipeline = Pipeline(A("1"), Bare(), PER_CALL, function, partial(function), Bare().method)

    assert [
        "<Pipeline, outermost first:",
        "  A('1')",
        "  Bare",
        "  -- per call --",
        "  function",
        "  function",
        "  method",
        "  -- per attempt --",
        "  transport>",
    ] == repr(pipeline).splitlines()


COPIES: dict[str, Callable[[Any], Any]] = {
    "pickle": lambda value: pickle.loads(pickle.dumps(value)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
}


@pytest.mark.parametrize("how", COPIES)
def test_copies_keep_the_slots(how: str) -> None:
    """
    A slot is one object, in copies and pickles too: a copied pipeline can be edited.
    """
    copied = COPIES[how](Pipeline(a, PER_CALL, b).strict())

    assert PER_CALL is COPIES[how](PER_CALL)
    assert PER_ATTEMPT is COPIES[how](PER_ATTEMPT)
    assert Pipeline(a, PER_CALL, b).strict() == copied
    assert PER_CALL is copied.layers[1]
    assert shown(a, x, PER_CALL, b, PER_ATTEMPT) == names(copied.per_call(x))


def test_composes_in_order(drive: Drive) -> None:
    """
    A request passes the layers as they are listed.
    """
    world = World([Response(200)])
    world.blocking = drive.blocking
    request = Request("GET", "http://example.org/")
    send = Pipeline(a, PER_CALL, b).per_call(x).per_attempt(y).compose(world.transport, world)

    async def scenario() -> Response:
        return await send(request)

    drive(scenario)

    assert ["A", "X", "B", "Y"] == request.extensions["passed"]


def test_strict_survives_editing(drive: Drive) -> None:
    """
    A strict pipeline stays strict through edits.
    """

    async def loses(request: Request, call_next: Next) -> Response:
        await call_next(request)
        return Response(200)

    world = World([open_response(200)])
    world.blocking = drive.blocking
    send = Pipeline(a).strict().per_call(loses).compose(world.transport, world)

    async def scenario() -> Response:
        return await send(Request("GET", "http://example.org/"))

    with pytest.raises(RuntimeError, match="loses neither returned nor closed"):
        drive(scenario)
