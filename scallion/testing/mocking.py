"""`mock()`: a router for all clients of the process, verified at the end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from scallion.pipeline.urls import URL

from .interception import intercepting
from .router import PassThrough, Router

if TYPE_CHECKING:
    from .bodies import Timekeeper

__all__ = ["mock", "standing_in", "strict_pipelines"]


@contextmanager
def mock(
    *,
    base_url: URL | str = "",
    transport: Any = None,
    pass_through: PassThrough = False,
    runtime: Timekeeper | None = None,
    assert_all_called: bool = True,
    assert_all_foreseen: bool = True,
    assert_all_closed: bool = True,
    intercept: bool = True,
    strict: bool = False,
) -> Iterator[Router]:
    """A router that answers instead of the network until the `with` ends, and is then verified.

    Within it every client of this process that would use the network gets its answers from the router. If the
    block raises, nothing is verified; but what was refused is noted on the error. Other arguments as of `Router`.

    Args:
        intercept: Whether clients are intercepted; if not, give them the router: `Client(transport=router)`.
        strict: Whether pipelines of clients made within report middlewares that lose responses.

    Raises:
        AssertionError: at the end, see `Router.verify`.
    """
    router = Router(
        base_url=base_url,
        transport=transport,
        pass_through=pass_through,
        runtime=runtime,
        assert_all_called=assert_all_called,
        assert_all_foreseen=assert_all_foreseen,
        assert_all_closed=assert_all_closed,
    )
    with standing_in(router, intercept=intercept, strict=strict):
        try:
            yield router
        except BaseException as error:
            for refused in router.unforeseen:
                if refused is not error:
                    error.add_note(f"While this was mocked, a request was refused. {refused}")
            raise
    router.verify()


@contextmanager
def standing_in(router: Router, *, intercept: bool = True, strict: bool = False) -> Iterator[None]:
    """What `mock` does to clients, as its arguments say."""
    with ExitStack() as stack:
        if intercept:
            stack.enter_context(intercepting(router))
        if strict:
            stack.enter_context(strict_pipelines())
        yield


@contextmanager
def strict_pipelines() -> Iterator[None]:
    """Let every pipeline that a client is made with be a strict one, see `Pipeline.strict`."""
    from scallion.pipeline.pipeline import Pipeline

    plain = Pipeline.compose

    def compose(self: Pipeline, transport: Any, runtime: Any) -> Any:
        return plain(self if self._strict else self.strict(), transport, runtime)

    Pipeline.compose = compose  # type: ignore[method-assign]
    try:
        yield
    finally:
        Pipeline.compose = plain  # type: ignore[method-assign]
