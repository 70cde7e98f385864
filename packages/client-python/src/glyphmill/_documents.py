"""How a document gets to the API, as steps."""

from __future__ import annotations

import base64
from typing import Any, Dict, Mapping, Union

import httpx

from ._decode import decode
from ._http import Http
from ._input import Bytes, Document, Download, Source, of_bytes
from ._retry import is_worth_retrying, retry_delay
from ._steps import Pause, ReadInput, Request, Send, Steps
from .errors import ConnectionError, InputError, TimeoutError, UploadError
from .types import Upload

#: Larger documents are uploaded to the store instead of going through the API in base64.
INLINE_BYTES = 4_000_000
#: Bytes that come with a request that names many documents.
BATCH_INLINE_BYTES = 16_384
_PUT_TIMEOUT = 60.0


def open_input(http: Http, document: Document) -> Steps[Union[Source, Bytes]]:
    read = yield ReadInput(document)
    if not isinstance(read, Download):
        return read  # type: ignore[no-any-return]
    # From here and without the API key: it is for the API alone.
    try:
        response: httpx.Response = yield Send(Request("GET", read.url, timeout=http.timeout, follow_redirects=True))
    except (ConnectionError, TimeoutError) as error:
        raise InputError(f"{read.url} cannot be fetched: {error}") from error
    if not response.is_success:
        raise InputError(f"{read.url} was answered with {response.status_code}")
    return of_bytes(response.content)


def to_source(http: Http, document: Document, inline_bytes: int = INLINE_BYTES) -> Steps[Dict[str, Any]]:
    """What a job is told of a document: bytes come with the request, or are uploaded where they are many."""
    opened = yield from open_input(http, document)
    if isinstance(opened, Source):
        return opened.source
    if len(opened.data) > inline_bytes:
        return (yield from send_upload(http, opened))
    data = base64.b64encode(opened.data).decode()
    return {"type": "inline", "contentType": opened.content_type, "data": data}


def upload_document(http: Http, document: Document) -> Steps[Dict[str, Any]]:
    opened = yield from open_input(http, document)
    if isinstance(opened, Source):
        raise InputError("expected bytes to upload, got what the API can read by itself")
    return (yield from send_upload(http, opened))


def create_upload(http: Http, settings: Mapping[str, Any]) -> Steps[Upload]:
    answer = yield from http.json("POST", "/v1/uploads", json=dict(settings))
    return decode(Upload, answer)


def send_upload(http: Http, document: Bytes) -> Steps[Dict[str, Any]]:
    """Straight to the store: the address is signed, and the API key is not for it."""
    wanted = {"contentType": document.content_type, "sizeBytes": len(document.data)}
    upload = yield from create_upload(http, wanted)
    request = Request("PUT", upload.url, headers=dict(upload.headers), content=document.data, timeout=_PUT_TIMEOUT)
    tries = 0
    while True:
        tries += 1
        try:
            response: httpx.Response = yield Send(request)
            if response.is_success:
                return {"type": "upload", "uploadId": upload.upload_id}
            status = response.status_code
            text = f"The store answered the upload with {status}: {response.text[:300]}"
            if tries > http.max_retries or not is_worth_retrying(status, None):
                raise UploadError(text, status)
        except (ConnectionError, TimeoutError):
            if tries > http.max_retries:
                raise
        yield Pause(retry_delay(tries, None))
