"""Does what steps yield, one after another, on an event loop."""

from __future__ import annotations

import asyncio
from typing import Any, AsyncIterator, Awaitable, Dict, List, NamedTuple, Optional, TypeVar

import httpx

from ._input import of_bytes, read_input
from ._steps import Close, Emit, Open, Pause, ReadChunk, ReadInput, Request, Send, Steps
from .errors import ConnectionError, TimeoutError

T = TypeVar("T")


class AsyncRunner:
    """Does what steps yield, one after another."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def run(self, steps: Steps[T]) -> T:
        result: List[T] = []
        async for _ in self._drive(steps, result):
            pass
        return result[0]

    def iterate(self, steps: Steps[None]) -> AsyncIterator[Any]:
        return self._drive(steps, [])

    async def _drive(self, steps: Steps[T], result: List[T]) -> AsyncIterator[Any]:
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
                    sent = await self._do(step, opened)
                except Exception as error:
                    failed = error
        except StopIteration as stop:
            result.append(stop.value)
        finally:
            for stream in opened.values():
                await stream.response.aclose()

    async def _do(self, step: Any, opened: Dict[int, _Opened]) -> Any:
        if isinstance(step, Send):
            return await self._request(step.request, stream=False)
        if isinstance(step, Open):
            response = await self._request(step.request, stream=True)
            if response.status_code >= 400:
                await _reading(response.aread(), step.request.url)
                await response.aclose()
            else:
                opened[id(response)] = _Opened(response, response.aiter_bytes())
            return response
        if isinstance(step, ReadChunk):
            return await _reading(_next(opened[id(step.response)].chunks), str(step.response.url))
        if isinstance(step, Close):
            await opened.pop(id(step.response)).response.aclose()
            return None
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            return None
        if isinstance(step, ReadInput):
            if hasattr(step.document, "__aiter__"):
                return of_bytes(b"".join([chunk async for chunk in step.document]))
            return await asyncio.to_thread(read_input, step.document)
        raise TypeError(f"unknown step {step!r}")

    async def _request(self, request: Request, stream: bool) -> httpx.Response:
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
        sent = self._client.send(built, stream=stream, follow_redirects=request.follow_redirects)
        return await _reading(sent, f"{request.method} {request.url}")


class _Opened(NamedTuple):
    response: httpx.Response
    chunks: AsyncIterator[bytes]


async def _next(chunks: AsyncIterator[bytes]) -> Optional[bytes]:
    async for chunk in chunks:
        return chunk
    return None


async def _reading(work: Awaitable[T], what: str) -> T:
    try:
        return await work
    except httpx.TimeoutException as error:
        raise TimeoutError(f"{what} was not answered in time.") from error
    except (httpx.TransportError, httpx.StreamError, httpx.DecodingError) as error:
        raise ConnectionError(f"{what} failed: {error or type(error).__name__}.") from error
