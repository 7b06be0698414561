"""The types of arguments that public functions take. Only type checkers import this module."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable, Mapping, Sequence
from http.cookiejar import CookieJar
from os import PathLike
from ssl import SSLContext
from typing import IO, Any, Protocol, TypeAlias, Union

from .auth import Auth
from .cookies import Cookies
from .headers import Headers
from .queryparams import QueryParams
from .request import Request
from .settings import Proxy, Timeout
from .urls import URL

__all__ = [
    "AuthTypes",
    "CertTypes",
    "CookieTypes",
    "FileContent",
    "FileTypes",
    "HeaderTypes",
    "PrimitiveData",
    "ProxyTypes",
    "QueryParamTypes",
    "RequestContent",
    "RequestData",
    "RequestExtensions",
    "RequestFiles",
    "ResponseContent",
    "ResponseExtensions",
    "SSLContextMaker",
    "TimeoutTypes",
    "URLTypes",
    "VerifyTypes",
]

PrimitiveData: TypeAlias = str | int | float | bool | None
URLTypes: TypeAlias = Union["URL", str]
QueryParamTypes: TypeAlias = Union[
    "QueryParams",
    Mapping[str, PrimitiveData | Sequence[PrimitiveData]],
    list[tuple[str, PrimitiveData]],
    tuple[tuple[str, PrimitiveData], ...],
    str,
    bytes,
]
HeaderTypes: TypeAlias = Union[
    "Headers",
    Mapping[str, str],
    Mapping[bytes, bytes],
    Sequence[tuple[str, str]],
    Sequence[tuple[bytes, bytes]],
]
CookieTypes: TypeAlias = Union["Cookies", CookieJar, dict[str, str], list[tuple[str, str]]]
TimeoutTypes: TypeAlias = Union[
    float | None,
    tuple[float | None, float | None],
    tuple[float | None, float | None, float | None],
    tuple[float | None, float | None, float | None, float | None],
    "Timeout",
]
ProxyTypes: TypeAlias = Union["URL", str, "Proxy"]
CertTypes: TypeAlias = str | tuple[str, str] | tuple[str, str, str]


class SSLContextMaker(Protocol):
    """`scallion.TLS`, which lies in a room that this one does not import."""

    def new_context(self, trust_env: bool = True) -> SSLContext: ...


VerifyTypes: TypeAlias = SSLContext | SSLContextMaker | str | PathLike[str] | bool
AuthTypes: TypeAlias = Union[
    tuple[str | bytes, str | bytes], Callable[["Request"], "Request"], "Auth"
]
RequestContent: TypeAlias = str | bytes | Iterable[bytes] | AsyncIterable[bytes]
ResponseContent: TypeAlias = str | bytes | Iterable[bytes] | AsyncIterable[bytes]
RequestData: TypeAlias = Mapping[str, Any]
FileContent: TypeAlias = IO[bytes] | bytes | str | PathLike[str]
FileTypes: TypeAlias = (
    FileContent
    | tuple[str | None, FileContent]
    | tuple[str | None, FileContent, str | None]
    | tuple[str | None, FileContent, str | None, Mapping[str, str]]
)
RequestFiles: TypeAlias = (
    Mapping[str, FileTypes | Sequence[FileTypes]] | Sequence[tuple[str, FileTypes]]
)
RequestExtensions: TypeAlias = Mapping[str, Any]
ResponseExtensions: TypeAlias = Mapping[str, Any]
