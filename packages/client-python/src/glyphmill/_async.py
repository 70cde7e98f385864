"""The client for asyncio. Written by write_async.py from _sync.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, AsyncIterator, List, Mapping, Optional, Sequence

import httpx

from . import _operations as operations
from . import types, webhooks
from ._decode import decode
from ._documents import create_upload, upload_document
from ._http import Http
from ._input import Document
from ._run_async import AsyncRunner
from ._sync import JobEvent
from ._ssl import ssl_context
from ._streams import follow_job, read_batch_results
from ._wait import wait_for_job

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import BatchItem, BatchSettings, JobSettings, ReadSettings


class AsyncJob(types.Job):
    """A job as the API told of it, and what can be done with it."""

    _jobs: AsyncJobs

    async def wait(self, timeout: float = 3600.0, on_update: Optional[Callable[[types.Job], None]] = None) -> AsyncJob:
        """The job at its end, however it ends. Raises a WaitTimeoutError."""
        return await self._jobs.wait(self.id, timeout=timeout, on_update=on_update)

    async def result(self) -> types.Result:
        """What was read. Raises a JobNotFinishedError, a JobFailedError, … where there is nothing."""
        return await self._jobs.result(self.id)

    async def text(self) -> str:
        return await self._jobs.text(self.id)

    def pages(self) -> AsyncIterator[types.PageState]:
        return self._jobs.pages(self.id)

    async def page(self, number: int) -> types.Page:
        return await self._jobs.page(self.id, number)

    def events(self, last_event_id: Optional[str] = None) -> AsyncIterator[JobEvent]:
        return self._jobs.events(self.id, last_event_id=last_event_id)

    async def refresh(self) -> AsyncJob:
        """The job as it is now."""
        return await self._jobs.get(self.id)

    async def cancel(self) -> AsyncJob:
        return await self._jobs.cancel(self.id)

    async def retry(self) -> AsyncJob:
        return await self._jobs.retry(self.id)

    async def delete(self, cancel: bool = False) -> None:
        await self._jobs.delete(self.id, cancel=cancel)


class AsyncBatch(types.Batch):
    """A batch as the API told of it, and what can be done with it."""

    _batches: AsyncBatches

    async def wait(self, timeout: float = 3600.0, on_update: Optional[Callable[[types.Batch], None]] = None) -> AsyncBatch:
        """The batch when all its jobs have ended. Raises a WaitTimeoutError."""
        return await self._batches.wait(self.id, timeout=timeout, on_update=on_update)

    def items(self, status: Optional[str] = None) -> AsyncIterator[types.Job]:
        """Its jobs in the order of its source."""
        return self._batches.items(self.id, status=status)

    def results(self) -> AsyncIterator[types.BatchResult]:
        """What was read, of the jobs that have ended, in the order of its source."""
        return self._batches.results(self.id)

    async def refresh(self) -> AsyncBatch:
        return await self._batches.get(self.id)

    async def cancel(self) -> AsyncBatch:
        return await self._batches.cancel(self.id)

    async def retry_failed(self) -> AsyncBatch:
        return await self._batches.retry_failed(self.id)


class AsyncJobs:
    """Calls about jobs."""

    def __init__(self, http: Http, runner: AsyncRunner) -> None:
        self._http = http
        self._runner = runner

    async def create(self, document: Document, **settings: Unpack[JobSettings]) -> AsyncJob:
        """Submits a document. The job is durable when this returns."""
        return self._job(await self._runner.run(operations.create_job(self._http, document, settings)))

    async def get(self, job_id: str) -> AsyncJob:
        return await self._ask("GET", job_id)

    def list(
        self,
        *,
        status: Optional[str] = None,
        batch_id: Optional[str] = None,
        created_after: Optional[str] = None,
        created_before: Optional[str] = None,
    ) -> AsyncIterator[AsyncJob]:
        """All jobs there are, or those asked for, newest first."""
        params = {
            "status": status,
            "batchId": batch_id,
            "createdAfter": created_after,
            "createdBefore": created_before,
        }
        steps = operations.each_of(self._http, "/v1/jobs", params)
        return (self._job(job) async for job in self._runner.iterate(steps))

    async def cancel(self, job_id: str) -> AsyncJob:
        """Cancels a job; one that has ended stays as it is."""
        return await self._ask("POST", job_id, "/cancel")

    async def retry(self, job_id: str) -> AsyncJob:
        """Has a job that failed, expired or was read in part read once more."""
        return await self._ask("POST", job_id, "/retry", repeatable=False)

    async def delete(self, job_id: str, *, cancel: bool = False) -> None:
        """Forgets a job and its result; with ``cancel`` also one that has not ended."""
        await self._runner.run(operations.delete_job(self._http, job_id, cancel))

    async def result(self, job_id: str) -> types.Result:
        path = operations.job_path(job_id, "/result")
        return decode(types.Result, await self._runner.run(self._http.json("GET", path)))

    async def text(self, job_id: str) -> str:
        return await self._runner.run(operations.job_text(self._http, job_id))

    def pages(self, job_id: str) -> AsyncIterator[types.PageState]:
        """Each page and whether it has been read, also while the job runs."""
        steps = operations.each_of(self._http, operations.job_path(job_id, "/pages"), {})
        return (decode(types.PageState, page) async for page in self._runner.iterate(steps))

    async def page(self, job_id: str, number: int) -> types.Page:
        path = operations.job_path(job_id, f"/pages/{number}")
        data = await self._runner.run(self._http.json("GET", path))
        if data["status"] == "succeeded":
            return decode(types.SucceededPage, data)
        return decode(types.FailedPage, data)

    async def events(self, job_id: str, *, last_event_id: Optional[str] = None) -> AsyncIterator[JobEvent]:
        """What happens to a job until it has ended. Connections that break are made anew."""
        async for event in self._runner.iterate(follow_job(self._http, job_id, last_event_id)):
            yield JobEvent(event["type"], event["id"], decode(types.Job, event["job"]))

    async def wait(
        self, job_id: str, *, timeout: float = 3600.0, on_update: Optional[Callable[[types.Job], None]] = None
    ) -> AsyncJob:
        """The job at its end: by its events, where they come through, else by long polls, else by asking."""

        def update(job: Dict[str, Any]) -> None:
            if on_update is not None:
                on_update(decode(types.Job, job))

        return self._job(await self._runner.run(wait_for_job(self._http, job_id, timeout, update)))

    async def _ask(self, method: str, job_id: str, rest: str = "", **parts: Any) -> AsyncJob:
        return self._job(await self._runner.run(self._http.json(method, operations.job_path(job_id, rest), **parts)))

    def _job(self, data: Mapping[str, Any]) -> AsyncJob:
        job = decode(AsyncJob, data)
        object.__setattr__(job, "_jobs", self)
        return job


class AsyncBatches:
    """Calls about batches."""

    def __init__(self, http: Http, runner: AsyncRunner) -> None:
        self._http = http
        self._runner = runner

    async def create(self, items: Optional[Sequence[BatchItem]] = None, **settings: Unpack[BatchSettings]) -> AsyncBatch:
        """Submits many documents. They are taken for good when this returns; their jobs are made afterwards."""
        return self._batch(await self._runner.run(operations.create_batch(self._http, items, settings)))

    async def get(self, batch_id: str) -> AsyncBatch:
        return await self._ask("GET", batch_id)

    def list(self) -> AsyncIterator[types.BatchSummary]:
        """All batches, newest first."""
        steps = operations.each_of(self._http, "/v1/batches", {})
        return (decode(types.BatchSummary, batch) async for batch in self._runner.iterate(steps))

    def items(self, batch_id: str, *, status: Optional[str] = None) -> AsyncIterator[types.Job]:
        steps = operations.each_of(self._http, operations.batch_path(batch_id, "/items"), {"status": status})
        return (decode(types.Job, job) async for job in self._runner.iterate(steps))

    def results(self, batch_id: str) -> AsyncIterator[types.BatchResult]:
        return self._runner.iterate(read_batch_results(self._http, operations.batch_path(batch_id, "/results")))

    async def cancel(self, batch_id: str) -> AsyncBatch:
        """Cancels those of its jobs that have not ended."""
        return await self._ask("POST", batch_id, "/cancel")

    async def retry_failed(self, batch_id: str) -> AsyncBatch:
        """Has those of its jobs that failed read once more."""
        return await self._ask("POST", batch_id, "/retry-failed", repeatable=False)

    async def wait(
        self, batch_id: str, *, timeout: float = 3600.0, on_update: Optional[Callable[[types.Batch], None]] = None
    ) -> AsyncBatch:
        def update(batch: Dict[str, Any]) -> None:
            if on_update is not None:
                on_update(decode(types.Batch, batch))

        return self._batch(await self._runner.run(operations.wait_for_batch(self._http, batch_id, timeout, update)))

    async def _ask(self, method: str, batch_id: str, rest: str = "", **parts: Any) -> AsyncBatch:
        return self._batch(await self._runner.run(self._http.json(method, operations.batch_path(batch_id, rest), **parts)))

    def _batch(self, data: Mapping[str, Any]) -> AsyncBatch:
        batch = decode(AsyncBatch, data)
        object.__setattr__(batch, "_batches", self)
        return batch


class AsyncUploads:
    """Documents on their way to the object store."""

    def __init__(self, http: Http, runner: AsyncRunner) -> None:
        self._http = http
        self._runner = runner

    async def create(self, *, content_type: str, size_bytes: int) -> types.Upload:
        """An address at the object store that takes one document of this type and size by PUT."""
        settings = {"contentType": content_type, "sizeBytes": size_bytes}
        return await self._runner.run(create_upload(self._http, settings))

    async def send(self, document: Document) -> Dict[str, Any]:
        """Uploads a document; what it gives is an input of one job."""
        return await self._runner.run(upload_document(self._http, document))


class AsyncOCRClient:
    """A client of one API with one key; ``async with`` closes its connections.

    ``timeout`` is the longest silence at one try of a call, in seconds, and ``max_retries`` the tries after the first
    where the API is busy or cannot be reached.
    """

    webhooks = webhooks

    def __init__(self, base_url: str, api_key: str, *, timeout: float = 30.0, max_retries: int = 4) -> None:
        self._http = Http(base_url, api_key, timeout=timeout, max_retries=max_retries)
        self._client = httpx.AsyncClient(verify=ssl_context())
        self._runner = AsyncRunner(self._client)
        self.jobs = AsyncJobs(self._http, self._runner)
        self.batches = AsyncBatches(self._http, self._runner)
        self.uploads = AsyncUploads(self._http, self._runner)

    async def recognize(self, document: Document, *, timeout: float = 3600.0, **settings: Unpack[ReadSettings]) -> types.Result:
        """Reads a document and gives what stands in it. Raises a JobFailedError where it cannot be read."""
        return await self._runner.run(operations.recognize(self._http, document, settings, timeout))

    async def models(self) -> List[types.Model]:
        """What the workers serve."""
        answer = await self._runner.run(self._http.json("GET", "/v1/models"))
        return [decode(types.Model, model) for model in answer["data"]]

    async def limits(self) -> types.Limits:
        """The limits in force."""
        return decode(types.Limits, await self._runner.run(self._http.json("GET", "/v1/limits")))

    async def close(self) -> None:
        await self._client.aclose()

    async def __aenter__(self) -> AsyncOCRClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
