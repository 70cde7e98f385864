"""Documents in whatever form callers have them."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from typing import Any, Dict, Mapping, Union

from ._png import encode_array
from .errors import InputError

#: The path of a file, a URL, ``s3://bucket/key``, bytes, a file that is open, an array of numpy (RGB), an image of
#: Pillow, or a source of the API as it is.
Document = Union[str, "os.PathLike[str]", bytes, bytearray, memoryview, Any, Mapping[str, Any]]

#: No worker takes more.
MAX_BYTES = 500_000_000


@dataclass(frozen=True)
class Source:
    """What the API can be told of a document as it is."""

    source: Dict[str, Any]


@dataclass(frozen=True)
class Bytes:
    data: bytes
    content_type: str


@dataclass(frozen=True)
class Download:
    """It is still to be fetched."""

    url: str


def read_input(document: Document) -> Union[Source, Bytes, Download]:
    """Raises an InputError for what cannot be read."""
    if isinstance(document, str):
        return _text(document)
    if isinstance(document, os.PathLike):
        return of_bytes(_file(os.fspath(document)))
    if isinstance(document, (bytes, bytearray, memoryview)):
        return of_bytes(bytes(document))
    if isinstance(document, Mapping):
        return Source(dict(document))
    if hasattr(document, "__array_interface__") and hasattr(document, "dtype"):
        return of_bytes(encode_array(document))
    if hasattr(document, "save") and hasattr(document, "mode"):
        return of_bytes(_picture(document))
    if hasattr(document, "read"):
        return of_bytes(_read(document))
    raise InputError(
        "expected a path, a URL, s3://bucket/key, bytes, an open file, an array, an image or a source of the API, "
        f"got {type(document).__name__}"
    )


def of_bytes(data: bytes) -> Bytes:
    if not data:
        raise InputError("expected a document, got no bytes")
    if len(data) > MAX_BYTES:
        raise InputError(f"expected at most {MAX_BYTES} bytes, got {len(data)}")
    return Bytes(data, content_type_of(data))


def _text(text: str) -> Union[Source, Bytes, Download]:
    if text.startswith("s3://"):
        match = re.fullmatch(r"s3://([^/]+)/(.+)", text, re.DOTALL)
        if match is None:
            raise InputError(f"expected s3://bucket/key, got {text}")
        return Source({"type": "s3", "bucket": match.group(1), "key": match.group(2)})
    if re.match(r"https?://", text, re.IGNORECASE):
        return Download(text)
    return of_bytes(_file(text))


def _file(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error


def _read(file: Any) -> bytes:
    data = file.read()
    if isinstance(data, bytes):
        return data
    raise InputError(f"expected a file that is open for bytes, got {type(data).__name__}; open it with mode 'rb'")


def _picture(image: Any) -> bytes:
    buffer = io.BytesIO()
    plain = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else image.convert("RGB")
    plain.save(buffer, format="PNG", compress_level=1)
    return buffer.getvalue()


_signatures = (
    ("image/png", 0, b"\x89PNG"),
    ("image/jpeg", 0, b"\xff\xd8\xff"),
    ("image/gif", 0, b"GIF8"),
    ("image/webp", 8, b"WEBP"),
    ("image/tiff", 0, b"II*\0"),
    ("image/tiff", 0, b"MM\0*"),
    ("image/avif", 4, b"ftypavif"),
)


def content_type_of(data: bytes) -> str:
    """The media type of an image by its first bytes; for people who look at jobs, the workers look for themselves."""
    for name, offset, signature in _signatures:
        if data.startswith(signature, offset):
            return name
    return "application/octet-stream"
