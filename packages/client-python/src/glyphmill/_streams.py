"""Answers that come bit by bit, as steps."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, List, Optional, Set

import httpx

from ._decode import decode
from ._http import Http
from ._retry import is_worth_retrying, retry_delay
from ._steps import Close, Emit, Pause, ReadChunk, Steps
from .errors import ConnectionError, ProblemError, TimeoutError
from .types import BatchResult

#: The API sends something every 15 s.
LONGEST_SILENCE = 40.0


class Lines:
    """The lines of UTF-8 text that comes in pieces; what follows the last end is none."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> List[str]:
        # A CR at the end may be the first half of a CR LF.
        lines = re.split(rb"\r\n|\n|\r(?!\Z)", self._rest + chunk)
        self._rest = lines.pop()
        return [line.decode() for line in lines]


class Events:
    """Server-sent events (WHATWG HTML, 9.2) of lines. One that is cut off by the end is none."""

    def __init__(self) -> None:
        self._type = ""
        self._data: List[str] = []
        self._id = ""

    def feed(self, line: str) -> Optional[Dict[str, str]]:
        if line == "":
            found = {"type": self._type or "message", "id": self._id, "data": "\n".join(self._data)}
            is_event = bool(self._data)
            self._type, self._data = "", []
            return found if is_event else None
        name, _, value = line.partition(":")
        value = value[1:] if value.startswith(" ") else value
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._type = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None


def open_events(http: Http, job_id: str, last_event_id: Optional[str]) -> Steps[Optional[httpx.Response]]:
    """None where nothing follows."""
    headers = {"accept": "text/event-stream"}
    if last_event_id is not None:
        headers["last-event-id"] = last_event_id
    request = http.request("GET", f"/v1/jobs/{job_id}/events", headers=headers, timeout=LONGEST_SILENCE)
    response = yield from http.open(request)
    if response.status_code == 204:
        yield Close(response)
        return None
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        yield Close(response)
        raise ConnectionError(f"The events of {job_id} are no stream of events.")
    return response


def follow_job(
    http: Http, job_id: str, last_event_id: Optional[str] = None, max_reconnects: Optional[int] = None
) -> Steps[None]:
    """Emits what happens to a job until it has ended, over as many connections as that takes."""
    most = http.max_retries if max_reconnects is None else max_reconnects
    failures = 0
    while True:
        try:
            response = yield from open_events(http, job_id, last_event_id)
            if response is None:
                return
            lines, events = Lines(), Events()
            while True:
                chunk: Optional[bytes] = yield ReadChunk(response)
                if chunk is None:
                    break
                for line in lines.feed(chunk):
                    event = events.feed(line)
                    if event is None:
                        continue
                    failures, last_event_id = 0, event["id"]
                    job = json.loads(event["data"])
                    yield Emit({"type": event["type"], "id": event["id"], "job": job})
                    if is_ended(job["status"]):
                        yield Close(response)
                        return
            yield Close(response)
        except (ConnectionError, TimeoutError):
            if failures >= most:
                raise
        except ProblemError as error:
            if failures >= most or not is_worth_retrying(error.status, error.code):
                raise
        failures += 1
        if failures > most:
            raise ConnectionError(f"The events of {job_id} end again and again before it does.")
        yield Pause(retry_delay(failures, None))


def read_batch_results(http: Http, path: str) -> Steps[None]:
    """Emits the results of a batch. A stream that breaks is opened anew, and what has been told is left out."""
    told: Set[str] = set()
    failures = 0
    while True:
        try:
            request = http.request("GET", path, headers={"accept": "application/x-ndjson"})
            response = yield from http.open(request)
            lines = Lines()
            while True:
                chunk: Optional[bytes] = yield ReadChunk(response)
                if chunk is None:
                    yield Close(response)
                    return
                for line in lines.feed(chunk):
                    result: Dict[str, Any] = json.loads(line)
                    if result["jobId"] in told:
                        continue
                    told.add(result["jobId"])
                    failures = 0
                    yield Emit(decode(BatchResult, result))
        except (ConnectionError, TimeoutError):
            if failures >= http.max_retries:
                raise
        except ProblemError as error:
            if failures >= http.max_retries or not is_worth_retrying(error.status, error.code):
                raise
        failures += 1
        yield Pause(retry_delay(failures, None))


def is_ended(status: str) -> bool:
    return status not in ("queued", "running", "canceling")
