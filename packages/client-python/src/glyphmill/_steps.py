"""What calls of the API consist of, for both clients.

A call is a generator. It yields what is to be done, a :class:`Send` or a :class:`Pause` for example, and is sent what
came of it; what it returns is what the call gives. The clients differ only in how they do what is yielded.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Generator, Mapping, Optional, TypeVar

import httpx

from ._input import Document

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    method: str
    #: Absolute.
    url: str
    headers: Dict[str, str] = field(default_factory=dict)
    params: Optional[Mapping[str, Any]] = None
    json: Optional[Any] = None
    content: Optional[bytes] = None
    data: Optional[Mapping[str, str]] = None
    files: Optional[Mapping[str, Any]] = None
    #: Seconds of silence.
    timeout: float = 30.0
    follow_redirects: bool = False


@dataclass(frozen=True)
class Send:
    """Gives the httpx.Response, read whole."""

    request: Request


@dataclass(frozen=True)
class Open:
    """Gives the httpx.Response, its body still to be read unless the status is 400 or more."""

    request: Request


@dataclass(frozen=True)
class ReadChunk:
    """Gives the next bytes of an open response, or None at its end."""

    response: httpx.Response


@dataclass(frozen=True)
class Close:
    response: httpx.Response


@dataclass(frozen=True)
class Pause:
    seconds: float


@dataclass(frozen=True)
class ReadInput:
    """Gives what ``read_input`` does."""

    document: Document


@dataclass(frozen=True)
class Emit:
    """One of the things that an iterator gives."""

    value: Any


Steps = Generator[Any, Any, T]
