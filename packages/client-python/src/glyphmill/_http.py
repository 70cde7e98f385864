"""Calls of one API with one key, as steps, each tried again where that may help."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Optional

import httpx

from ._retry import LONGEST_RETRY_AFTER, is_worth_retrying, read_retry_after, retry_delay
from ._steps import Open, Pause, Request, Send, Steps
from .errors import ConnectionError, GlyphmillError, ProblemError, RedirectError, TimeoutError
from .problems import to_problem_error


class Http:
    def __init__(self, base_url: str, api_key: str, *, timeout: float, max_retries: int) -> None:
        if not re.fullmatch(r"https?://[^?#]+", base_url):
            raise GlyphmillError(f"expected base_url to be like https://ocr.example.com, got {base_url!r}")
        if not re.fullmatch(r"[\x21-\x7e]+", api_key):
            raise GlyphmillError("expected api_key to be a key like gm_…")
        self.base_url = base_url.rstrip("/")
        self.timeout = timeout
        self.max_retries = max_retries
        self._authorization = f"Bearer {api_key}"

    def request(self, method: str, path: str, **parts: Any) -> Request:
        """One with the API key; for nobody but the API."""
        headers = {"accept": "application/json", **parts.pop("headers", {}), "authorization": self._authorization}
        params = {name: value for name, value in (parts.pop("params", None) or {}).items() if value is not None}
        timeout = parts.pop("timeout", None)
        return Request(
            method,
            f"{self.base_url}{path}",
            headers=headers,
            params=params or None,
            timeout=self.timeout if timeout is None else timeout,
            **parts,
        )

    def send(
        self,
        request: Request,
        *,
        repeatable: bool = True,
        removes: bool = False,
        max_retries: Optional[int] = None,
    ) -> Steps[httpx.Response]:
        """The answer, of a status below 400. Raises a ProblemError for any other.

        ``repeatable=False``: it must not be sent again when an earlier try may have been heard. ``removes=True``: when
        an earlier try may have been heard, that there is nothing any more is success.
        """
        tries = 0
        may_have_been_heard = False
        while True:
            tries += 1
            try:
                response: httpx.Response = yield Send(request)
                return self._accept(request, response)
            except (ConnectionError, TimeoutError) as error:
                may_have_been_heard = True
                if not repeatable or tries > self._retries(max_retries):
                    raise error
                delay = retry_delay(tries, None)
            except ProblemError as error:
                if removes and may_have_been_heard and error.status == 404:
                    return httpx.Response(204)
                if tries > self._retries(max_retries) or not _may_pass(error):
                    raise
                delay = retry_delay(tries, error.retry_after)
            yield Pause(delay)

    def open(self, request: Request) -> Steps[httpx.Response]:
        """The answer when its headers are there, tried once."""
        response: httpx.Response = yield Open(request)
        return self._accept(request, response)

    def json(self, method: str, path: str, **parts: Any) -> Steps[Any]:
        policy = {name: parts.pop(name) for name in ("repeatable", "max_retries") if name in parts}
        response = yield from self.send(self.request(method, path, **parts), **policy)
        try:
            return response.json()
        except ValueError as error:
            raise ConnectionError(f"{path} was answered with what is no JSON.") from error

    def _retries(self, max_retries: Optional[int]) -> int:
        return self.max_retries if max_retries is None else max_retries

    def _accept(self, request: Request, response: httpx.Response) -> httpx.Response:
        if 300 <= response.status_code < 400 and "location" in response.headers:
            raise RedirectError(
                f"{request.url} answered with a redirect to {response.headers['location']}, which is not followed: "
                "the API key would go along. Set base_url to where the API is."
            )
        if response.status_code >= 400:
            raise refusal(response)
        return response


def refusal(response: httpx.Response) -> ProblemError:
    retry_after = read_retry_after(response.headers.get("retry-after"))
    body = _parsed(response)
    if isinstance(body, dict) and isinstance(body.get("code"), str):
        return to_problem_error(body, retry_after)
    status = response.status_code
    # Something between here and the API has answered.
    problem: Dict[str, Any] = {
        "title": response.reason_phrase,
        "status": status,
        "code": f"http-{status}",
        "detail": f"The answer was {status}, and no problem of the API: {response.text[:200]}",
        "retryable": is_worth_retrying(status, None),
    }
    return ProblemError(problem, retry_after)


def _parsed(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except ValueError:
        return None


def _may_pass(error: ProblemError) -> bool:
    return is_worth_retrying(error.status, error.code) and (error.retry_after or 0) <= LONGEST_RETRY_AFTER

