"""The client that blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence

import httpx

from . import _operations as operations
from . import types, webhooks
from ._decode import decode
from ._documents import create_upload, upload_document
from ._http import Http
from ._input import Document
from ._run import Runner
from ._ssl import ssl_context
from ._streams import follow_job, read_batch_results
from ._wait import wait_for_job

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._settings import BatchItem, BatchSettings, JobSettings, ReadSettings


class JobEvent(NamedTuple):
    """What happened to a job: ``job.running``, ``job.progress``, … and the job as it was then."""

    type: str
    #: To go on after it: ``last_event_id``.
    id: str
    job: types.Job


class Job(types.Job):
    """A job as the API told of it, and what can be done with it."""

    _jobs: Jobs

    def wait(self, timeout: float = 3600.0, on_update: Optional[Callable[[types.Job], None]] = None) -> Job:
        """The job at its end, however it ends. Raises a WaitTimeoutError."""
        return self._jobs.wait(self.id, timeout=timeout, on_update=on_update)

    def result(self) -> types.Result:
        """What was read. Raises a JobNotFinishedError, a JobFailedError, … where there is nothing."""
        return self._jobs.result(self.id)

    def text(self) -> str:
        return self._jobs.text(self.id)

    def pages(self) -> Iterator[types.PageState]:
        return self._jobs.pages(self.id)

    def page(self, number: int) -> types.Page:
        return self._jobs.page(self.id, number)

    def events(self, last_event_id: Optional[str] = None) -> Iterator[JobEvent]:
        return self._jobs.events(self.id, last_event_id=last_event_id)

    def refresh(self) -> Job:
        """The job as it is now."""
        return self._jobs.get(self.id)

    def cancel(self) -> Job:
        return self._jobs.cancel(self.id)

    def retry(self) -> Job:
        return self._jobs.retry(self.id)

    def delete(self, cancel: bool = False) -> None:
        self._jobs.delete(self.id, cancel=cancel)


class Batch(types.Batch):
    """A batch as the API told of it, and what can be done with it."""

    _batches: Batches

    def wait(self, timeout: float = 3600.0, on_update: Optional[Callable[[types.Batch], None]] = None) -> Batch:
        """The batch when all its jobs have ended. Raises a WaitTimeoutError."""
        return self._batches.wait(self.id, timeout=timeout, on_update=on_update)

    def items(self, status: Optional[str] = None) -> Iterator[types.Job]:
        """Its jobs in the order of its source."""
        return self._batches.items(self.id, status=status)

    def results(self) -> Iterator[types.BatchResult]:
        """What was read, of the jobs that have ended, in the order of its source."""
        return self._batches.results(self.id)

    def refresh(self) -> Batch:
        return self._batches.get(self.id)

    def cancel(self) -> Batch:
        return self._batches.cancel(self.id)

    def retry_failed(self) -> Batch:
        return self._batches.retry_failed(self.id)


class Jobs:
    """Calls about jobs."""

    def __init__(self, http: Http, runner: Runner) -> None:
        self._http = http
        self._runner = runner

    def create(self, document: Document, **settings: Unpack[JobSettings]) -> Job:
        """Submits a document. The job is durable when this returns."""
        return self._job(self._runner.run(operations.create_job(self._http, document, settings)))

    def get(self, job_id: str) -> Job:
        return self._ask("GET", job_id)

    def list(
        self,
        *,
        status: Optional[str] = None,
        batch_id: Optional[str] = None,
        created_after: Optional[str] = None,
        created_before: Optional[str] = None,
    ) -> Iterator[Job]:
        """All jobs there are, or those asked for, newest first."""
        params = {
            "status": status,
            "batchId": batch_id,
            "createdAfter": created_after,
            "createdBefore": created_before,
        }
        steps = operations.each_of(self._http, "/v1/jobs", params)
        return (self._job(job) for job in self._runner.iterate(steps))

    def cancel(self, job_id: str) -> Job:
        """Cancels a job; one that has ended stays as it is."""
        return self._ask("POST", job_id, "/cancel")

    def retry(self, job_id: str) -> Job:
        """Has a job that failed, expired or was read in part read once more."""
        return self._ask("POST", job_id, "/retry", repeatable=False)

    def delete(self, job_id: str, *, cancel: bool = False) -> None:
        """Forgets a job and its result; with ``cancel`` also one that has not ended."""
        self._runner.run(operations.delete_job(self._http, job_id, cancel))

    def result(self, job_id: str) -> types.Result:
        path = operations.job_path(job_id, "/result")
        return decode(types.Result, self._runner.run(self._http.json("GET", path)))

    def text(self, job_id: str) -> str:
        return self._runner.run(operations.job_text(self._http, job_id))

    def pages(self, job_id: str) -> Iterator[types.PageState]:
        """Each page and whether it has been read, also while the job runs."""
        steps = operations.each_of(self._http, operations.job_path(job_id, "/pages"), {})
        return (decode(types.PageState, page) for page in self._runner.iterate(steps))

    def page(self, job_id: str, number: int) -> types.Page:
        path = operations.job_path(job_id, f"/pages/{number}")
        data = self._runner.run(self._http.json("GET", path))
        if data["status"] == "succeeded":
            return decode(types.SucceededPage, data)
        return decode(types.FailedPage, data)

    def events(self, job_id: str, *, last_event_id: Optional[str] = None) -> Iterator[JobEvent]:
        """What happens to a job until it has ended. Connections that break are made anew."""
        for event in self._runner.iterate(follow_job(self._http, job_id, last_event_id)):
            yield JobEvent(event["type"], event["id"], decode(types.Job, event["job"]))

    def wait(
        self, job_id: str, *, timeout: float = 3600.0, on_update: Optional[Callable[[types.Job], None]] = None
    ) -> Job:
        """The job at its end: by its events, where they come through, else by long polls, else by asking."""

        def update(job: Dict[str, Any]) -> None:
            if on_update is not None:
                on_update(decode(types.Job, job))

        return self._job(self._runner.run(wait_for_job(self._http, job_id, timeout, update)))

    def _ask(self, method: str, job_id: str, rest: str = "", **parts: Any) -> Job:
        return self._job(self._runner.run(self._http.json(method, operations.job_path(job_id, rest), **parts)))

    def _job(self, data: Mapping[str, Any]) -> Job:
        job = decode(Job, data)
        object.__setattr__(job, "_jobs", self)
        return job


class Batches:
    """Calls about batches."""

    def __init__(self, http: Http, runner: Runner) -> None:
        self._http = http
        self._runner = runner

    def create(self, items: Optional[Sequence[BatchItem]] = None, **settings: Unpack[BatchSettings]) -> Batch:
        """Submits many documents. They are taken for good when this returns; their jobs are made afterwards."""
        return self._batch(self._runner.run(operations.create_batch(self._http, items, settings)))

    def get(self, batch_id: str) -> Batch:
        return self._ask("GET", batch_id)

    def list(self) -> Iterator[types.BatchSummary]:
        """All batches, newest first."""
        steps = operations.each_of(self._http, "/v1/batches", {})
        return (decode(types.BatchSummary, batch) for batch in self._runner.iterate(steps))

    def items(self, batch_id: str, *, status: Optional[str] = None) -> Iterator[types.Job]:
        steps = operations.each_of(self._http, operations.batch_path(batch_id, "/items"), {"status": status})
        return (decode(types.Job, job) for job in self._runner.iterate(steps))

    def results(self, batch_id: str) -> Iterator[types.BatchResult]:
        return self._runner.iterate(read_batch_results(self._http, operations.batch_path(batch_id, "/results")))

    def cancel(self, batch_id: str) -> Batch:
        """Cancels those of its jobs that have not ended."""
        return self._ask("POST", batch_id, "/cancel")

    def retry_failed(self, batch_id: str) -> Batch:
        """Has those of its jobs that failed read once more."""
        return self._ask("POST", batch_id, "/retry-failed", repeatable=False)

    def wait(
        self, batch_id: str, *, timeout: float = 3600.0, on_update: Optional[Callable[[types.Batch], None]] = None
    ) -> Batch:
        def update(batch: Dict[str, Any]) -> None:
            if on_update is not None:
                on_update(decode(types.Batch, batch))

        return self._batch(self._runner.run(operations.wait_for_batch(self._http, batch_id, timeout, update)))

    def _ask(self, method: str, batch_id: str, rest: str = "", **parts: Any) -> Batch:
        return self._batch(self._runner.run(self._http.json(method, operations.batch_path(batch_id, rest), **parts)))

    def _batch(self, data: Mapping[str, Any]) -> Batch:
        batch = decode(Batch, data)
        object.__setattr__(batch, "_batches", self)
        return batch


class Uploads:
    """Documents on their way to the object store."""

    def __init__(self, http: Http, runner: Runner) -> None:
        self._http = http
        self._runner = runner

    def create(self, *, content_type: str, size_bytes: int) -> types.Upload:
        """An address at the object store that takes one document of this type and size by PUT."""
        settings = {"contentType": content_type, "sizeBytes": size_bytes}
        return self._runner.run(create_upload(self._http, settings))

    def send(self, document: Document) -> Dict[str, Any]:
        """Uploads a document; what it gives is an input of one job."""
        return self._runner.run(upload_document(self._http, document))


class OCRClient:
    """A client of one API with one key; ``with`` closes its connections.

    ``timeout`` is the longest silence at one try of a call, in seconds, and ``max_retries`` the tries after the first
    where the API is busy or cannot be reached.
    """

    webhooks = webhooks

    def __init__(self, base_url: str, api_key: str, *, timeout: float = 30.0, max_retries: int = 4) -> None:
        self._http = Http(base_url, api_key, timeout=timeout, max_retries=max_retries)
        self._client = httpx.Client(verify=ssl_context())
        self._runner = Runner(self._client)
        self.jobs = Jobs(self._http, self._runner)
        self.batches = Batches(self._http, self._runner)
        self.uploads = Uploads(self._http, self._runner)

    def recognize(self, document: Document, *, timeout: float = 3600.0, **settings: Unpack[ReadSettings]) -> types.Result:
        """Reads a document and gives what stands in it. Raises a JobFailedError where it cannot be read."""
        return self._runner.run(operations.recognize(self._http, document, settings, timeout))

    def models(self) -> List[types.Model]:
        """What the workers serve."""
        answer = self._runner.run(self._http.json("GET", "/v1/models"))
        return [decode(types.Model, model) for model in answer["data"]]

    def limits(self) -> types.Limits:
        """The limits in force."""
        return decode(types.Limits, self._runner.run(self._http.json("GET", "/v1/limits")))

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> OCRClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
