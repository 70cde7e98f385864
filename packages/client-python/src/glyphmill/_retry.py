"""When a call is tried again."""

from __future__ import annotations

import email.utils
import random
import time
from typing import Optional

_FIRST_DELAY = 0.5
_LONGEST_DELAY = 8.0
#: Longer than this nobody wants to be held up in a call: the error says how long it would have been.
LONGEST_RETRY_AFTER = 60.0


def is_worth_retrying(status: int, code: Optional[str]) -> bool:
    """Whether an answer says that the same call may be taken later."""
    return status in (408, 429, 502, 503, 504) or code == "idempotency-in-progress"


def retry_delay(retry: int, retry_after: Optional[float]) -> float:
    """Seconds before try ``retry``, the first being 1: doubling, with up to half of it taken off at random, so that
    callers who were refused together do not come back together. Never before the time that an answer named."""
    backoff: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** (retry - 1))
    if retry_after is None:
        return backoff * (1 - random.random() / 2)
    return retry_after + random.random() * min(backoff, retry_after / 4)


def read_retry_after(header: Optional[str]) -> Optional[float]:
    """``Retry-After`` of RFC 9110, section 10.2.3, in seconds."""
    if header is None:
        return None
    if header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time())
    except (TypeError, ValueError):
        return None
