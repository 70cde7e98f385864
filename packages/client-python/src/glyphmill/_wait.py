"""Waiting for the end of something, as steps."""

from __future__ import annotations

import math
import time
from typing import Any, Callable, Dict, Optional

import httpx

from ._http import Http
from ._retry import is_worth_retrying, read_retry_after, retry_delay
from ._steps import Emit, Pause, ReadChunk, Steps
from ._streams import follow_job, is_ended
from .errors import ConnectionError, ProblemError, TimeoutError, WaitTimeoutError

Seen = Dict[str, Any]
OnUpdate = Callable[[Seen], None]

#: Seconds of a long poll; the API takes up to 60, and proxies seldom cut it off before this.
_LONG_POLL = 25
#: With less than this left, events come too seldom to keep the time.
_EVENTS_NEED = 20.0


class Clock:
    def __init__(self, what: str, timeout: float) -> None:
        self._end = time.monotonic() + timeout
        self._message = f"{what} has not ended within {timeout:g} s; it goes on all the same."

    def left(self) -> float:
        """Seconds. Raises a WaitTimeoutError when there are none."""
        seconds = self._end - time.monotonic()
        if seconds <= 0:
            raise WaitTimeoutError(self._message)
        return seconds


def wait_for_job(http: Http, job_id: str, timeout: float, on_update: OnUpdate) -> Steps[Seen]:
    """The job at its end: by its events, where they come through, else by long polls, else by asking."""
    clock = Clock(f"The job {job_id}", timeout)
    told = yield from _told_end(http, job_id, clock, on_update)
    if told is not None:
        return told
    return (yield from until_ended(http, f"/v1/jobs/{job_id}", clock, lambda job: is_ended(job["status"]), on_update))


def _told_end(http: Http, job_id: str, clock: Clock, on_update: OnUpdate) -> Steps[Optional[Seen]]:
    """None where the events do not come through, and one must ask."""
    if clock.left() < _EVENTS_NEED:
        return None
    steps = follow_job(http, job_id, max_reconnects=1)
    sent: Any = None
    failed: Optional[BaseException] = None
    try:
        while True:
            step = steps.throw(failed) if failed is not None else steps.send(sent)
            sent, failed = None, None
            if isinstance(step, Emit):
                job: Seen = step.value["job"]
                if is_ended(job["status"]):
                    return job
                on_update(job)
                continue
            if isinstance(step, ReadChunk) and clock.left() < _EVENTS_NEED:
                return None
            try:
                sent = yield step
            except (ConnectionError, TimeoutError) as error:
                failed = error
    except StopIteration:
        return None
    except (ConnectionError, TimeoutError):
        return None
    except ProblemError as error:
        if is_worth_retrying(error.status, error.code) or error.code.startswith("http-"):
            return None
        raise


def until_ended(
    http: Http, path: str, clock: Clock, is_over: Callable[[Seen], bool], on_update: OnUpdate
) -> Steps[Seen]:
    """Asks until something has ended: by long polls where they are answered as they should be, else again and again,
    as often as the answers say."""
    longest = _LONG_POLL
    quick = 0
    while True:
        began = time.monotonic()
        wait = min(longest, math.ceil(clock.left()))
        request = http.request("GET", path, params={"wait": wait or None}, timeout=http.timeout + wait)
        try:
            # One owner of the retries: a poll that is cut off becomes a plain look.
            response: httpx.Response = yield from http.send(request, max_retries=0 if wait else None)
        except (ConnectionError, TimeoutError, ProblemError) as error:
            is_cut = not isinstance(error, ProblemError) or error.status >= 502
            if not wait or not is_cut:
                raise
            longest = 0
            continue
        seen: Seen = response.json()
        if is_over(seen):
            return seen
        on_update(seen)
        # Answered long before its time: whatever is between here and the API does not wait.
        waited = wait > 0 and time.monotonic() - began >= wait / 2
        quick = 0 if waited else quick + 1
        if not waited:
            retry_after = read_retry_after(response.headers.get("retry-after"))
            delay = retry_delay(quick, None) if retry_after is None else retry_after
            yield Pause(min(delay, clock.left()))
