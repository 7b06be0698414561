"""What a rate limit of a service counts by, where `Endpoints` lies outside it: the service, or a header's values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import TypeAlias

from scallion.pipeline.request import Request

from .per_origin import origin_name

__all__ = ["HeaderKey", "ServiceKey", "key_of"]

# What `Endpoints` remembers of the requests that it has sent to one.
_ENDPOINTS = "scallion.Endpoints"
# RFC 9110 section 5.6.2.
_HEADER = re.compile(r"header:([!#$%&'*+\-.^_`|~0-9A-Za-z]+)")


@dataclass(frozen=True)
class ServiceKey:
    """The service, however many endpoints it has; requests to other hosts count for their origins.

    Attributes:
        service: What the requests to its endpoints are counted by; None for these as well.
    """

    service: str | None

    def __call__(self, request: Request) -> str:
        if self.service is not None and _ENDPOINTS in request.memory:
            return self.service
        return origin_name(request.url.origin_key)


@dataclass(frozen=True)
class HeaderKey:
    """The value of a header, for each service by itself; requests without it count together.

    A value may be a credential, and a storage's keys are seen by others: only its hash is used.

    Attributes:
        header: The header's name.
        service: As in `ServiceKey`.
    """

    header: str
    service: str | None

    def __call__(self, request: Request) -> str:
        service = ServiceKey(self.service)(request)
        value = request.headers.get(self.header)
        if value is None:
            return service
        return f"{service} {blake2b(value.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


Key: TypeAlias = ServiceKey | HeaderKey | None


def key_of(text: str, service: str | None = None) -> Key:
    """The key of a `RateLimit` that a text says: "service", "origin" or "header:X-Tenant".

    Args:
        service: What requests to the service's endpoints are counted by; None for a service without.

    Raises:
        ValueError: it says none.
    """
    # Cases: each origin, which needs no function; the service; a header.
    if text == "origin" or (text == "service" and service is None):
        return None
    if text == "service":
        return ServiceKey(service)
    header = _HEADER.fullmatch(text)
    if header is None:
        raise ValueError(
            f"RateLimit key must be 'service', 'origin', or a header such as 'header:X-Tenant': {text!r}"
        )
    return HeaderKey(header[1], service)
