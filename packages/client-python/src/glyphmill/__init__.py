"""Client of Glyphmill, self-hosted OCR in bulk: documents in, text out."""

from ._async import AsyncBatch, AsyncJob, AsyncOCRClient
from ._sync import Batch, Job, JobEvent, OCRClient
from .errors import (
    ConnectionError,
    GlyphmillError,
    InputError,
    ProblemError,
    RedirectError,
    TimeoutError,
    UploadError,
    WaitTimeoutError,
    WebhookVerificationError,
)
from .types import BatchResult, Limits, Line, Model, Page, Result
from .webhooks import WebhookEvent

__all__ = [
    "AsyncBatch",
    "AsyncJob",
    "AsyncOCRClient",
    "Batch",
    "BatchResult",
    "ConnectionError",
    "GlyphmillError",
    "InputError",
    "Job",
    "JobEvent",
    "Limits",
    "Line",
    "Model",
    "OCRClient",
    "Page",
    "ProblemError",
    "RedirectError",
    "Result",
    "TimeoutError",
    "UploadError",
    "WaitTimeoutError",
    "WebhookEvent",
    "WebhookVerificationError",
]
