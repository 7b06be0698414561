"""`Section`: the settings of one layer, as a dataclass whose annotations say what each of them may be."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib import import_module
from typing import Any, ClassVar

from ._settings_reading import brief, kind_of

__all__ = ["Section"]


@dataclass(frozen=True, kw_only=True, repr=False)
class Section:
    """The settings of one layer, of kinds that a file can hold.

    Raises:
        TypeError: a value is of the wrong kind.
        ValueError: it is a text that cannot be read.
    """

    section: ClassVar[str]
    # Whether there is no stack without it.
    required: ClassVar[bool] = False
    # Modules and names of the layers that it is about; the first is made of its values.
    layers: ClassVar[tuple[str, ...]] = ()

    def __post_init__(self) -> None:
        for one in fields(self):
            where = f"{self.section}.{one.name}"
            value = kind_of(one).of(getattr(self, one.name), text=False, where=where)
            object.__setattr__(self, one.name, value)

    def make(self, **more: Any) -> Any:
        """The layer.

        Raises:
            TypeError, ValueError: it does not accept a value.
        """
        return self.kind()(**self.arguments() | more)

    def arguments(self) -> dict[str, Any]:
        """What its layers are made of."""
        return self.values()

    def check(self) -> None:
        """Let the layer look at the values, whether or not they are all that it needs.

        Raises:
            TypeError, ValueError: it does not accept one, or two that exclude each other.
        """
        self.make()

    def lack(self) -> str | None:
        """What is missing yet, and may come from a source that is laid over this one; to be read after the path."""

    @classmethod
    def kind(cls, which: int = 0) -> Any:
        """The class of one of its layers."""
        home, _, name = cls.layers[which].rpartition(".")
        return getattr(import_module(f"scallion.middlewares.{home}"), name)

    def __repr__(self) -> str:
        """What is not the default."""
        usual = {one.name: one.default for one in fields(self)}
        told = [f"{n}={brief(v)}" for n, v in self.values().items() if v != usual[n]]
        return f"{type(self).__name__}({', '.join(told)})"

    def values(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}
