"""Where settings come from, a mapping or the environment: how errors name them, and which variables are none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

from ._settings_reading import nearest

__all__ = ["ARGUMENT", "DEFAULT", "Named", "Source", "Variables"]

DEFAULT = "default"
ARGUMENT = "argument"

# What Kubernetes sets for each service in the namespace, and Docker for each container that is linked.
_OF_SERVICES = re.compile(
    r"(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)"
    r"|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|ADDR|((PORT_)?(START|END))|PORT))?)"
)
# Of these the value has to tell as well, as a misspelt setting could have such a name.
_PORT = re.compile(r"(\w+_)?PORT")
_ADDRESS = re.compile(r"(tcp|udp|sctp)://.+", re.IGNORECASE)
_NAME = re.compile(r"(\w+_)?NAME")
_LINK = re.compile(r"/[^/]+/[^/]+")
_ENV = re.compile(r"((?:\w+_)??)ENV_\w+")


class Named:
    """A mapping with a name."""

    text = False

    def __init__(self, name: str) -> None:
        self._name = name

    def told(self, path: str) -> str:
        """A path as errors name it; that of nothing is the whole."""
        if self._name == ARGUMENT:
            return path or "settings"
        return f"{self._name}: {path}" if path else self._name

    def blamed(self, error: Exception) -> str:
        """What was wrong with it as a whole; of arguments the path says enough."""
        return str(error) if self._name == ARGUMENT else f"{self._name}: {error}"

    def origin(self, path: str) -> str:  # noqa: ARG002
        return self._name


class Variables:
    """The environment, its variables beginning with a prefix.

    Args:
        prefix: "ORDERS_".
        paths: Of all settings.
    """

    text = True

    def __init__(self, prefix: str, paths: Iterable[str]) -> None:
        self._prefix = prefix
        self._paths = {self._variable(path): path for path in paths}

    def said(self, environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
        """Paths and texts of what the variables set.

        Raises:
            ValueError: one of them is no setting.
        """
        for variable, text in sorted(environ.items()):
            if not variable.startswith(self._prefix):
                continue
            path = self._paths.get(variable)
            if path is not None:
                yield path, text
            elif not _is_a_neighbours(self._prefix, variable, environ):
                raise ValueError(
                    f"environment variable {variable} is no setting{nearest(variable, self._paths)} "
                    f"(all that begins with {self._prefix} has to be one)"
                )

    def told(self, path: str) -> str:
        return f"environment variable {self._variable(path)}" if path else "environment"

    def blamed(self, error: Exception) -> str:
        return f"environment: {error}"

    def origin(self, path: str) -> str:
        return f"environment {self._variable(path)}"

    def _variable(self, path: str) -> str:
        return self._prefix + path.replace(".", "_").upper()


Source: TypeAlias = Named | Variables


def _is_a_neighbours(prefix: str, variable: str, environ: Mapping[str, str]) -> bool:
    """Whether a variable was set for a service whose name is the prefix's, or begins like it."""
    name, text = variable[len(prefix) :], environ[variable]
    if _OF_SERVICES.fullmatch(name):
        return True
    if _PORT.fullmatch(name):
        return _ADDRESS.fullmatch(text) is not None
    if _NAME.fullmatch(name):
        return _LINK.fullmatch(text) is not None
    linked = _ENV.fullmatch(name)
    # The container's own variables, beside the link's name.
    return (
        linked is not None
        and _LINK.fullmatch(environ.get(f"{prefix}{linked[1]}NAME", "")) is not None
    )
