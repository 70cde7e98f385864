"""What this package raises. The codes of the API have classes of their own in ``glyphmill.problems``."""

from __future__ import annotations

import builtins
from typing import Any, List, Mapping, Optional

from .types import Fault


class GlyphmillError(Exception):
    """Everything this package raises."""


class ConnectionError(GlyphmillError, builtins.ConnectionError):
    """The API could not be reached, or the connection broke. The message names the last of the tries."""


class TimeoutError(GlyphmillError, builtins.TimeoutError):
    """No answer in time, at none of the tries."""


class RedirectError(GlyphmillError):
    """The API answered with a redirect. None is followed, so that the API key goes nowhere else."""


class WaitTimeoutError(GlyphmillError, builtins.TimeoutError):
    """``wait`` was given a time, and it is over. What was waited for goes on."""


class InputError(GlyphmillError, ValueError):
    """The document cannot be read, or is nothing that can be sent."""


class UploadError(GlyphmillError):
    """The object store did not take an upload."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class WebhookVerificationError(GlyphmillError):
    """A webhook is not what it claims to be: answer it with 400 and do nothing."""


class ProblemError(GlyphmillError):
    """The API's answer to a call that it refuses: RFC 9457, by its ``code``. Each code has a class of its own."""

    def __init__(self, problem: Mapping[str, Any], retry_after: Optional[float] = None) -> None:
        self.status: int = problem["status"]
        self.code: str = problem["code"]
        self.title: str = problem.get("title", "")
        #: What was expected, what came, and what to do.
        self.detail: str = problem.get("detail", "")
        #: To be named when asking whoever runs the API.
        self.request_id: str = problem.get("requestId", "")
        #: Whether the same call may succeed later.
        self.retryable: bool = problem.get("retryable", False)
        #: What is wrong where in the request, if that is what is wrong.
        self.errors: List[Fault] = [Fault(**fault) for fault in problem.get("errors", [])]
        #: Seconds.
        self.retry_after = retry_after
        super().__init__(f"{self.code}: {self.detail}")
