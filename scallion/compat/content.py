"""httpx's makers of bodies: headers and a stream each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scallion.pipeline.bodies import Encoded, encode_request, encode_response
from scallion.pipeline.multipart import MultipartStream, boundary_of

if TYPE_CHECKING:
    from scallion.pipeline.types import RequestData, RequestFiles

__all__ = [
    "encode_html",
    "encode_json",
    "encode_multipart_data",
    "encode_text",
    "encode_urlencoded_data",
    "get_multipart_boundary_from_content_type",
]


def encode_json(json: Any) -> Encoded:
    # encode_request() takes None for no body; here it is JSON's null.
    return encode_request(json=json) if json is not None else _null()


def _null() -> Encoded:
    headers, stream = encode_request(content=b"null")
    return {**headers, "Content-Type": "application/json"}, stream


def encode_urlencoded_data(data: RequestData) -> Encoded:
    if not data:
        # An empty form is still one.
        headers = {"Content-Length": "0", "Content-Type": "application/x-www-form-urlencoded"}
        return headers, encode_request()[1]
    return encode_request(data=data)


def encode_multipart_data(
    data: RequestData, files: RequestFiles, boundary: bytes | None
) -> tuple[dict[str, str], MultipartStream]:
    multipart = MultipartStream(data, files, boundary)
    return multipart.get_headers(), multipart


def encode_text(text: str) -> Encoded:
    return encode_response(text=text)


def encode_html(html: str) -> Encoded:
    return encode_response(html=html)


def get_multipart_boundary_from_content_type(content_type: bytes | None) -> bytes | None:
    return None if content_type is None else boundary_of(content_type.decode("latin-1"))
