# Written by test/fixtures/client-types.ts from packages/contract; not to be changed by hand.
"""A class for each code that the API may answer with."""

from __future__ import annotations

from typing import Any, Dict, Mapping, Optional, Type

from .errors import ProblemError


class InvalidRequestError(ProblemError):
    """The request is malformed."""


class InvalidJsonError(ProblemError):
    """The body is not valid JSON."""


class InvalidIdempotencyKeyError(ProblemError):
    """The Idempotency-Key cannot be used."""


class UnknownFieldError(ProblemError):
    """The body has a field this call does not know."""


class UnauthenticatedError(ProblemError):
    """A valid API key is needed."""


class InsufficientScopeError(ProblemError):
    """This API key may not do that."""


class SourceNotAllowedError(ProblemError):
    """This API key may not read that object."""


class AddressNotAllowedError(ProblemError):
    """That webhook address is not allowed."""


class NotFoundError(ProblemError):
    """There is nothing at this address."""


class FormatNotAvailableError(ProblemError):
    """The result cannot be given in that format."""


class JobNotFinishedError(ProblemError):
    """The job has not ended yet."""


class JobCanceledError(ProblemError):
    """The job was canceled and has no result."""


class InvalidStateError(ProblemError):
    """The state it is in does not allow that."""


class IdempotencyInProgressError(ProblemError):
    """A request with this Idempotency-Key is still running."""


class PageFailedError(ProblemError):
    """The page could not be read."""


class JobFailedError(ProblemError):
    """The job failed and has no result."""


class EndpointLimitReachedError(ProblemError):
    """There are as many webhook endpoints as may be."""


class ResultExpiredError(ProblemError):
    """The result has expired."""


class PayloadTooLargeError(ProblemError):
    """The body is too large."""


class UnsupportedMediaTypeError(ProblemError):
    """This media type is not accepted here."""


class ValidationFailedError(ProblemError):
    """The request is not valid."""


class IdempotencyKeyReusedError(ProblemError):
    """The Idempotency-Key was used for another request."""


class UnknownModelError(ProblemError):
    """No worker serves that model."""


class QuotaExceededError(ProblemError):
    """The tenant’s quota is used up."""


class QueueFullError(ProblemError):
    """The queue is full."""


class TooManyStreamsError(ProblemError):
    """Too many event streams are open."""


class QueueUnavailableError(ProblemError):
    """The queue cannot be reached."""


class StorageUnavailableError(ProblemError):
    """The object store cannot be reached."""


class RequestTimeoutError(ProblemError):
    """The request took too long to arrive."""


class InternalError(ProblemError):
    """Something went wrong here."""


#: The classes by their codes.
PROBLEMS: Dict[str, Type[ProblemError]] = {
    "invalid-request": InvalidRequestError,
    "invalid-json": InvalidJsonError,
    "invalid-idempotency-key": InvalidIdempotencyKeyError,
    "unknown-field": UnknownFieldError,
    "unauthenticated": UnauthenticatedError,
    "insufficient-scope": InsufficientScopeError,
    "source-not-allowed": SourceNotAllowedError,
    "address-not-allowed": AddressNotAllowedError,
    "not-found": NotFoundError,
    "format-not-available": FormatNotAvailableError,
    "job-not-finished": JobNotFinishedError,
    "job-canceled": JobCanceledError,
    "invalid-state": InvalidStateError,
    "idempotency-in-progress": IdempotencyInProgressError,
    "page-failed": PageFailedError,
    "job-failed": JobFailedError,
    "endpoint-limit-reached": EndpointLimitReachedError,
    "result-expired": ResultExpiredError,
    "payload-too-large": PayloadTooLargeError,
    "unsupported-media-type": UnsupportedMediaTypeError,
    "validation-failed": ValidationFailedError,
    "idempotency-key-reused": IdempotencyKeyReusedError,
    "unknown-model": UnknownModelError,
    "quota-exceeded": QuotaExceededError,
    "queue-full": QueueFullError,
    "too-many-streams": TooManyStreamsError,
    "queue-unavailable": QueueUnavailableError,
    "storage-unavailable": StorageUnavailableError,
    "request-timeout": RequestTimeoutError,
    "internal": InternalError,
}


def to_problem_error(problem: Mapping[str, Any], retry_after: Optional[float] = None) -> ProblemError:
    """The error that a problem stands for; a code of a newer API gives a plain ProblemError."""
    return PROBLEMS.get(problem["code"], ProblemError)(problem, retry_after)
