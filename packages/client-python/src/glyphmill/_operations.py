"""What the API can be asked, as steps: the same for both clients."""

from __future__ import annotations

import json
import math
import time
import uuid
from typing import Any, Dict, List, Mapping, Optional, Sequence
from urllib.parse import quote

from ._decode import decode, settings_to_wire
from ._documents import BATCH_INLINE_BYTES, open_input, send_upload, to_source
from ._http import Http
from ._input import Document, Source
from ._steps import Emit, Steps
from ._wait import Clock, OnUpdate, until_ended, wait_for_job
from .types import Result

Json = Dict[str, Any]

#: The API holds a call this long before it tells of a job instead.
_HELD = 30
#: The API's own limit for the body of a call may be higher.
_BODY_BYTES = 32_000_000


def job_path(job_id: str, rest: str = "") -> str:
    return f"/v1/jobs/{quote(job_id, safe='')}{rest}"


def batch_path(batch_id: str, rest: str = "") -> str:
    return f"/v1/batches/{quote(batch_id, safe='')}{rest}"


def _idempotent(settings: Dict[str, Any]) -> Dict[str, str]:
    """The same request sent again is the same job; each call makes up a key of its own unless it is given one."""
    return {"idempotency-key": settings.pop("idempotency_key", None) or uuid.uuid4().hex}


def create_job(http: Http, document: Document, settings: Mapping[str, Any]) -> Steps[Json]:
    rest = dict(settings)
    headers = _idempotent(rest)
    source = yield from to_source(http, document)
    body = {"source": source, **settings_to_wire(rest)}
    answer: Json = yield from http.json("POST", "/v1/jobs", json=body, headers=headers)
    return answer


def create_batch(http: Http, items: Optional[Sequence[Mapping[str, Any]]], settings: Mapping[str, Any]) -> Steps[Json]:
    rest = dict(settings)
    headers = _idempotent(rest)
    body = settings_to_wire(rest)
    if items is not None:
        ready: List[Json] = []
        for item in items:
            source = yield from to_source(http, item["source"], BATCH_INLINE_BYTES)
            others = {name: value for name, value in item.items() if name != "source"}
            ready.append({**settings_to_wire(others), "source": source})
        body["items"] = ready
    answer: Json = yield from http.json("POST", "/v1/batches", json=body, headers=headers)
    return answer


def each_of(http: Http, path: str, params: Mapping[str, Any]) -> Steps[None]:
    """Emits all entries of a list, asked for a page at a time as they are taken."""
    cursor: Optional[str] = None
    while True:
        page = yield from http.json("GET", path, params={"limit": 100, **params, "cursor": cursor})
        for entry in page["data"]:
            yield Emit(entry)
        cursor = page["nextCursor"]
        if cursor is None:
            return


def delete_job(http: Http, job_id: str, cancel: bool) -> Steps[None]:
    request = http.request("DELETE", job_path(job_id), params={"cancel": "true" if cancel else None})
    yield from http.send(request, removes=True)


def job_text(http: Http, job_id: str) -> Steps[str]:
    headers = {"accept": "text/plain, application/problem+json"}
    request = http.request("GET", job_path(job_id, "/result"), params={"format": "text"}, headers=headers)
    response = yield from http.send(request)
    return response.content.decode()


def wait_for_batch(http: Http, batch_id: str, timeout: float, on_update: OnUpdate) -> Steps[Json]:
    clock = Clock(f"The batch {batch_id}", timeout)
    return (
        yield from until_ended(
            http, batch_path(batch_id), clock, lambda batch: batch["finishedAt"] is not None, on_update
        )
    )


def recognize(http: Http, document: Document, settings: Mapping[str, Any], timeout: float) -> Steps[Result]:
    clock = Clock("The reading", timeout)
    began = time.monotonic()
    opened = yield from open_input(http, document)
    wire = settings_to_wire(settings)
    parts: Dict[str, Any]
    if isinstance(opened, Source):
        parts = {"json": {"source": opened.source, **wire}}
    elif len(opened.data) > _BODY_BYTES:
        source = yield from send_upload(http, opened)
        parts = {"json": {"source": source, **wire}}
    else:
        # What comes with the call is always read: there is nothing to say of the cache.
        wire.pop("cache", None)
        fields = {name: json.dumps(value) if name == "options" else str(value) for name, value in wire.items()}
        parts = {"data": fields, "files": {"image": ("document", opened.data, opened.content_type)}}
    seconds = min(_HELD, math.ceil(clock.left()))
    request = http.request(
        "POST", "/v1/recognize", params={"timeout": seconds}, timeout=http.timeout + seconds, **parts
    )
    response = yield from http.send(request)
    if response.status_code == 200:
        return decode(Result, response.json())
    job_id = response.json()["id"]
    left = timeout - (time.monotonic() - began)
    yield from wait_for_job(http, job_id, left, lambda _: None)
    return decode(Result, (yield from http.json("GET", job_path(job_id, "/result"))))
