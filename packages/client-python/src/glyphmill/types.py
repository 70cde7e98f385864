# Written by test/fixtures/client-types.ts from packages/contract; not to be changed by hand.
"""What the API answers. Names are those of the wire in snake case."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Literal, Optional, Union

__all__ = [
    "JobS3Source",
    "JobInlineSource",
    "JobUploadSource",
    "Progress",
    "Failure",
    "Warning",
    "JobUsage",
    "Timings",
    "JobLinks",
    "Job",
    "ServedModel",
    "ResultEngine",
    "Usage",
    "MicroBatch",
    "Result",
    "OptionsInForce",
    "Character",
    "Line",
    "PageTimings",
    "SucceededPage",
    "FailedPage",
    "Page",
    "PageState",
    "PageList",
    "BatchItemsSource",
    "BatchManifestSource",
    "BatchPrefixSource",
    "BatchIngestError",
    "BatchIngest",
    "BatchLinks",
    "Rejection",
    "Batch",
    "BatchList",
    "BatchSummary",
    "ResultGone",
    "BatchResult",
    "Model",
    "Limits",
    "Upload",
    "Fault",
    "Problem",
    "JobEventData",
    "JobEvent",
    "BatchEventData",
    "BatchEvent",
    "EndpointDisabledEventData",
    "EndpointDisabledEvent",
    "PingEventData",
    "PingEvent",
]


@dataclass(frozen=True)
class JobS3Source:
    type: Literal["s3"]
    bucket: str
    key: str
    version_id: Optional[str]
    if_match: Optional[str]


@dataclass(frozen=True)
class JobInlineSource:
    type: Literal["inline"]
    content_type: str
    size_bytes: int


@dataclass(frozen=True)
class JobUploadSource:
    type: Literal["upload"]
    upload_id: str
    content_type: str
    size_bytes: int


@dataclass(frozen=True)
class Progress:
    pages_total: Optional[int]
    pages_done: int
    pages_failed: int


@dataclass(frozen=True)
class Failure:
    code: Literal["source-not-found", "source-bucket-not-found", "source-access-denied", "source-changed", "source-unavailable", "source-timeout", "empty-document", "unsupported-document", "corrupt-document", "image-too-large", "too-many-pages", "document-too-large", "invalid-page-range", "decode-crashed", "decode-timeout", "decode-out-of-memory", "model-error", "model-unavailable", "destination-failed", "timeout", "deadline-exceeded", "worker-lost", "invalid-job", "internal"]
    message: str
    """What was expected, what came, and what to do next."""
    retryable: bool
    """Whether the same job could succeed later without a change."""
    phase: Literal["queue", "fetch", "decode", "detect", "recognize", "store"]
    page: Optional[int] = None


@dataclass(frozen=True)
class Warning:
    code: str
    message: str
    page: Optional[int] = None


@dataclass(frozen=True)
class JobUsage:
    pages: int
    lines: int
    megapixels: float
    cache: Literal["hit", "miss", "bypass"]
    """hit: an earlier result was given, and nothing read; miss: the document was read; bypass: the cache was not asked."""


@dataclass(frozen=True)
class Timings:
    queue_ms: float
    """From submission to the start of the attempt that ended the job."""
    fetch_ms: float
    decode_ms: float
    detect_ms: float
    recognize_ms: float
    """From a page’s first line handed to the batcher to its last reading."""
    total_ms: float
    """From the start of that attempt to its commit."""


@dataclass(frozen=True)
class JobLinks:
    self: str
    result: str
    pages: str
    events: str
    cancel: str


@dataclass(frozen=True)
class Job:
    object: Literal["job"]
    id: str
    status: Literal["queued", "running", "canceling", "succeeded", "partial", "failed", "canceled", "expired"]
    created_at: str
    started_at: Optional[str]
    finished_at: Optional[str]
    expires_at: Optional[str]
    """When the job and its result are forgotten; null while it runs."""
    source: Union[JobS3Source, JobInlineSource, JobUploadSource]
    mode: Literal["document", "line"]
    """document: find the lines, then read them; line: the whole image is one line of text."""
    model: str
    model_version: Optional[str]
    """The version asked for; the result says which read it."""
    batch_id: Optional[str]
    batch_index: Optional[int]
    """Where in its batch’s source it stands, counted from 0."""
    priority: Literal["high", "normal", "low"]
    deadline: Optional[str]
    """When the job ends as expired unless it has ended before."""
    attempt: int
    """Attempts begun so far."""
    progress: Progress
    error: Optional[Failure]
    warnings: List[Warning]
    cache: Optional[Literal["hit", "miss", "bypass"]]
    """null until there is a result."""
    usage: Optional[JobUsage]
    timings: Optional[Timings]
    metadata: Dict[str, str]
    links: JobLinks


@dataclass(frozen=True)
class ServedModel:
    role: Literal["detect", "recognize"]
    name: str
    version: str
    sha256: str
    provider: Literal["cpu", "cuda"]


@dataclass(frozen=True)
class ResultEngine:
    service: str
    runtime: str
    models: List[ServedModel]
    options: OptionsInForce


@dataclass(frozen=True)
class Usage:
    pages: int
    lines: int
    megapixels: float


@dataclass(frozen=True)
class MicroBatch:
    id: str
    """Unique within the attempt."""
    role: Literal["detect", "recognize"]
    size: int
    """Pages or lines in it, of all documents."""
    own: int
    """Those of this document."""
    fill: float
    """Its size ÷ max_batch_size."""
    trigger: Literal["size", "preferred", "delay", "idle", "drain"]
    """What made it go."""
    queue_delay_ms: float
    """The longest that one of this document’s waited for it."""
    run_ms: float


@dataclass(frozen=True)
class Result:
    object: Literal["ocr.result"]
    schema_version: Literal["1.0"]
    job_id: Optional[str]
    """null when read without a job, by `glyphmill ocr`."""
    text: str
    """The pages’ texts, a form feed between two pages; nothing for a failed one."""
    confidence: Optional[float]
    """Mean over all characters; null when there is none."""
    engine: ResultEngine
    pages: List[Page]
    usage: Usage
    warnings: List[Warning]
    micro_batches: Optional[List[MicroBatch]] = None
    """In the order in which they ended, the first 1000; only where options.microBatches asks."""


@dataclass(frozen=True)
class OptionsInForce:
    min_confidence: float
    """Leave out lines read with less confidence than this."""
    max_side_length: int
    """Longer side in pixels of the page as the detector sees it. More finds smaller print, and costs more."""
    characters: bool
    """Add every character with its own confidence."""
    pages: Optional[str] = None
    """Pages to read, counted from 1, for example "1-3,7". Default: all."""
    micro_batches: Optional[bool] = None
    """Add the micro-batches that its pages and lines rode in, with those of other documents."""


@dataclass(frozen=True)
class Character:
    text: str
    confidence: float


@dataclass(frozen=True)
class Line:
    id: str
    """Unique within its page: l1, l2, … in reading order."""
    text: str
    confidence: float
    """Mean over the characters of the line."""
    polygon: List[float]
    """x1,y1 … x4,y4 in page pixels, clockwise from the text’s own top left corner."""
    bbox: List[float]
    """x0,y0,x1,y1: the upright rectangle around the polygon."""
    characters: Optional[List[Character]] = None
    micro_batch: Optional[str] = None
    """The one it was read in, where options.microBatches asks."""


@dataclass(frozen=True)
class PageTimings:
    decode_ms: float
    detect_ms: float
    recognize_ms: float


@dataclass(frozen=True)
class SucceededPage:
    number: int
    status: Literal["succeeded"]
    width: int
    height: int
    unit: Literal["px"]
    rotation: int
    """Degrees by which the stored pixels were turned clockwise (EXIF) before coordinates were taken."""
    text: str
    lines: List[Line]
    error: None
    timings: PageTimings


@dataclass(frozen=True)
class FailedPage:
    number: int
    status: Literal["failed"]
    width: None
    height: None
    unit: Literal["px"]
    rotation: None
    text: Literal[""]
    lines: List[Line]
    error: Failure
    timings: None


@dataclass(frozen=True)
class PageState:
    number: int
    status: Literal["unread", "succeeded", "failed"]
    """unread: not yet, or not before the job ended."""
    href: str


@dataclass(frozen=True)
class PageList:
    object: Literal["list"]
    data: List[PageState]
    next_cursor: Optional[str]


@dataclass(frozen=True)
class BatchItemsSource:
    type: Literal["items"]
    count: int


@dataclass(frozen=True)
class BatchManifestSource:
    type: Literal["manifest"]
    bucket: str
    key: str
    version_id: Optional[str]
    size_bytes: int


@dataclass(frozen=True)
class BatchPrefixSource:
    type: Literal["prefix"]
    bucket: str
    prefix: str
    glob: Optional[str]


@dataclass(frozen=True)
class BatchIngestError:
    code: Literal["source-not-found", "source-bucket-not-found", "source-access-denied", "source-changed", "source-unavailable", "source-timeout", "empty-document", "unsupported-document", "corrupt-document", "image-too-large", "too-many-pages", "document-too-large", "invalid-page-range", "decode-crashed", "decode-timeout", "decode-out-of-memory", "model-error", "model-unavailable", "destination-failed", "timeout", "deadline-exceeded", "worker-lost", "invalid-job", "internal", "too-many-items"]
    message: str


@dataclass(frozen=True)
class BatchIngest:
    state: Literal["running", "waiting", "done", "failed", "canceled"]
    waiting_for: Optional[Literal["queue-full", "quota-exceeded", "memory", "queue-unavailable", "storage-unavailable", "internal"]]
    """Set while waiting."""
    error: Optional[BatchIngestError]
    """Set when failed: what became jobs before stays as it is, the rest of the source is not taken."""
    indexed: int
    """Items, lines or objects that have been dealt with."""


@dataclass(frozen=True)
class BatchLinks:
    self: str
    items: str
    results: str
    cancel: str


@dataclass(frozen=True)
class Rejection:
    index: int
    """Counted from 0: the place in `items`, the line of the manifest, or the place in the listing."""
    code: Literal["invalid-json", "line-too-long", "unknown-field", "validation-failed", "source-not-allowed"]
    detail: str


@dataclass(frozen=True)
class Batch:
    object: Literal["batch"]
    id: str
    status: Literal["ingesting", "running", "canceling", "completed", "canceled"]
    """ingesting: jobs are still being made; running: all are made and some have not ended; completed: all have ended, however."""
    created_at: str
    finished_at: Optional[str]
    expires_at: Optional[str]
    """When the batch is forgotten; null until it has ended."""
    source: Union[BatchItemsSource, BatchManifestSource, BatchPrefixSource]
    mode: Literal["document", "line"]
    """document: find the lines, then read them; line: the whole image is one line of text."""
    model: str
    priority: Literal["normal", "low"]
    deadline: Optional[str]
    metadata: Dict[str, str]
    ingest: BatchIngest
    job_count: int
    """Jobs made so far."""
    counts: Dict[str, int]
    """Jobs by their state."""
    percent: Optional[float]
    """Share of jobs that have ended; null until all jobs are made."""
    rate_per_second: float
    """Jobs ended per second, over the last minute."""
    estimated_finish_at: Optional[str]
    """At that rate; null until all jobs are made, while none end, and at the end."""
    rejected_count: int
    links: BatchLinks
    rejected: List[Rejection]
    """The first of the rejected."""


@dataclass(frozen=True)
class BatchList:
    object: Literal["list"]
    data: List[BatchSummary]
    next_cursor: Optional[str]


@dataclass(frozen=True)
class BatchSummary:
    object: Literal["batch"]
    id: str
    status: Literal["ingesting", "running", "canceling", "completed", "canceled"]
    """ingesting: jobs are still being made; running: all are made and some have not ended; completed: all have ended, however."""
    created_at: str
    finished_at: Optional[str]
    expires_at: Optional[str]
    """When the batch is forgotten; null until it has ended."""
    source: Union[BatchItemsSource, BatchManifestSource, BatchPrefixSource]
    mode: Literal["document", "line"]
    """document: find the lines, then read them; line: the whole image is one line of text."""
    model: str
    priority: Literal["normal", "low"]
    deadline: Optional[str]
    metadata: Dict[str, str]
    ingest: BatchIngest
    job_count: int
    """Jobs made so far."""
    counts: Dict[str, int]
    """Jobs by their state."""
    percent: Optional[float]
    """Share of jobs that have ended; null until all jobs are made."""
    rate_per_second: float
    """Jobs ended per second, over the last minute."""
    estimated_finish_at: Optional[str]
    """At that rate; null until all jobs are made, while none end, and at the end."""
    rejected_count: int
    links: BatchLinks


@dataclass(frozen=True)
class ResultGone:
    code: Literal["result-expired", "storage-unavailable"]
    message: str


@dataclass(frozen=True)
class BatchResult:
    job_id: str
    index: int
    """Counted from 0: the place in `items`, the line of the manifest, or the place in the listing."""
    status: Literal["queued", "running", "canceling", "succeeded", "partial", "failed", "canceled", "expired"]
    result: Optional[Result]
    """null unless succeeded or partial."""
    error: Optional[Union[Failure, ResultGone]]
    """Why the job failed, or why its result cannot be given."""


@dataclass(frozen=True)
class Model:
    role: Literal["detect", "recognize"]
    name: str
    version: str
    sha256: str
    provider: Literal["cpu", "cuda"]
    object: Literal["model"]
    default: bool
    max_batch_size: int
    ready: bool
    """Whether a worker that serves it reported within the last half minute."""


@dataclass(frozen=True)
class Limits:
    object: Literal["limits"]
    inline_bytes: int
    """Largest document inside a JSON body."""
    presigned_bytes: int
    """Largest document of POST /v1/uploads; workers may take less."""
    upload_bytes: int
    """Largest image in a multipart or raw body."""
    metadata_entries: int
    metadata_key_length: int
    metadata_value_length: int
    url_length: int
    """Longest address of a webhook, in characters."""
    webhook_endpoints: int
    """Webhook endpoints that one tenant may have."""
    ttl_seconds_min: int
    ttl_seconds_max: int
    timeout_seconds_max: int
    wait_seconds_max: int
    list_limit_max: int
    waiting_jobs: int
    """Jobs of all callers that may wait at once."""
    tenant_jobs: int
    """Jobs of yours that may be open, waiting or running."""
    tenant_pages: int
    """Pages of your running jobs at which further jobs are refused."""
    tenant_megapixels: int
    """Megapixels of your running jobs at which further jobs are refused."""
    batch_items: int
    """Items of a batch that are named one by one."""
    manifest_lines: int
    """Lines of a batch’s manifest."""
    manifest_line_bytes: int
    manifest_bytes: int
    prefix_objects: int
    """Objects of a batch that is named by a prefix."""
    prefix_listed: int
    """Objects looked at for those that match its glob."""
    glob_length: int
    batches_ingesting: int
    """Batches of yours whose jobs are still being made."""
    batch_rejections: int
    """Rejections of a batch that are told one by one."""
    recognize_concurrency: int
    submit_concurrency: int
    event_streams: int
    """Event streams that one process of the API keeps open."""
    request_timeout_seconds: int


@dataclass(frozen=True)
class Upload:
    object: Literal["upload"]
    upload_id: str
    method: Literal["PUT"]
    url: str
    """At the object store. It needs no API key and should be shown none."""
    headers: Dict[str, str]
    """To be sent as they are; an upload of another size or type is refused by the store."""
    expires_at: str
    """Until when the upload may begin."""


@dataclass(frozen=True)
class Fault:
    pointer: str
    """RFC 6901 pointer into the body."""
    detail: str


@dataclass(frozen=True)
class Problem:
    type: str
    title: str
    status: int
    code: str
    detail: str
    instance: str
    request_id: str
    retryable: bool
    errors: Optional[List[Fault]] = None


@dataclass(frozen=True)
class JobEventData:
    job_id: str
    status: Literal["succeeded", "partial", "failed", "canceled", "expired"]
    metadata: Dict[str, str]
    pages: Optional[int]
    result: Optional[str]
    """Path of the result, relative to the API."""
    error: Optional[Failure]


@dataclass(frozen=True)
class JobEvent:
    type: Literal["job.succeeded", "job.partial", "job.failed", "job.canceled", "job.expired"]
    timestamp: str
    """When it happened, the same on every attempt."""
    data: JobEventData


@dataclass(frozen=True)
class BatchEventData:
    batch_id: str
    status: Literal["completed", "canceled"]
    counts: Dict[str, int]
    """Jobs by the state they ended in."""
    rejected_count: int
    metadata: Dict[str, str]
    results: str
    """Path of the results, relative to the API."""


@dataclass(frozen=True)
class BatchEvent:
    type: Literal["batch.completed"]
    timestamp: str
    data: BatchEventData


@dataclass(frozen=True)
class EndpointDisabledEventData:
    endpoint_id: str
    reason: Literal["gone", "failing"]


@dataclass(frozen=True)
class EndpointDisabledEvent:
    type: Literal["webhook.endpoint-disabled"]
    timestamp: str
    """When it happened, the same on every attempt."""
    data: EndpointDisabledEventData


@dataclass(frozen=True)
class PingEventData:
    endpoint_id: str


@dataclass(frozen=True)
class PingEvent:
    type: Literal["webhook.ping"]
    timestamp: str
    """When it happened, the same on every attempt."""
    data: PingEventData


Page = Union[SucceededPage, FailedPage]
