"""Does what steps yield, one after another."""

from __future__ import annotations

import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, TypeVar

import httpx

from ._input import read_input
from ._steps import Close, Emit, Open, Pause, ReadChunk, ReadInput, Request, Send, Steps
from .errors import ConnectionError, TimeoutError

T = TypeVar("T")


class Runner:
    """Does what steps yield, one after another."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def run(self, steps: Steps[T]) -> T:
        result: List[T] = []
        for _ in self._drive(steps, result):
            pass
        return result[0]

    def iterate(self, steps: Steps[None]) -> Iterator[Any]:
        return self._drive(steps, [])

    def _drive(self, steps: Steps[T], result: List[T]) -> Iterator[Any]:
        """Gives what is emitted, and puts what is returned into ``result``."""
        opened: Dict[int, _Opened] = {}
        sent: Any = None
        failed: Optional[Exception] = None
        try:
            while True:
                step = steps.throw(failed) if failed is not None else steps.send(sent)
                sent, failed = None, None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    sent = self._do(step, opened)
                except Exception as error:
                    failed = error
        except StopIteration as stop:
            result.append(stop.value)
        finally:
            for stream in opened.values():
                stream.response.close()

    def _do(self, step: Any, opened: Dict[int, _Opened]) -> Any:
        if isinstance(step, Send):
            return self._request(step.request, stream=False)
        if isinstance(step, Open):
            response = self._request(step.request, stream=True)
            if response.status_code >= 400:
                _reading(response.read, step.request.url)
                response.close()
            else:
                opened[id(response)] = _Opened(response, response.iter_bytes())
            return response
        if isinstance(step, ReadChunk):
            return _reading(lambda: next(opened[id(step.response)].chunks, None), str(step.response.url))
        if isinstance(step, Close):
            opened.pop(id(step.response)).response.close()
            return None
        if isinstance(step, Pause):
            time.sleep(step.seconds)
            return None
        if isinstance(step, ReadInput):
            return read_input(step.document)
        raise TypeError(f"unknown step {step!r}")

    def _request(self, request: Request, stream: bool) -> httpx.Response:
        def send() -> httpx.Response:
            built = self._client.build_request(
                request.method,
                request.url,
                headers=request.headers,
                params=request.params,
                json=request.json,
                content=request.content,
                data=request.data,
                files=request.files,
                timeout=request.timeout,
            )
            return self._client.send(built, stream=stream, follow_redirects=request.follow_redirects)

        return _reading(send, f"{request.method} {request.url}")


class _Opened(NamedTuple):
    response: httpx.Response
    chunks: Iterator[bytes]


def _reading(work: Callable[[], T], what: str) -> T:
    try:
        return work()
    except httpx.TimeoutException as error:
        raise TimeoutError(f"{what} was not answered in time.") from error
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
        raise ConnectionError(f"{what} failed: {error or type(error).__name__}.") from error
