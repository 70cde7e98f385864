"""Deliveries of webhooks (Standard Webhooks 1.0)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from typing import Mapping, Optional, Union

from ._decode import decode
from .errors import WebhookVerificationError
from .types import BatchEvent, EndpointDisabledEvent, JobEvent, PingEvent

WebhookEvent = Union[JobEvent, BatchEvent, EndpointDisabledEvent, PingEvent]

_kinds = {
    "batch.completed": BatchEvent,
    "webhook.endpoint-disabled": EndpointDisabledEvent,
    "webhook.ping": PingEvent,
}


def unwrap(
    body: Union[bytes, str],
    headers: Mapping[str, str],
    secret: str,
    *,
    tolerance: float = 300.0,
    now: Optional[float] = None,
) -> WebhookEvent:
    """What a delivery tells of, once it is sure that it was sent by whoever has the secret, and just now.

    ``body`` must be the bytes as they came, not what a parser made of them. Raises a WebhookVerificationError.
    """
    content = body.encode() if isinstance(body, str) else body
    identifier = _header(headers, "webhook-id")
    timestamp = _header(headers, "webhook-timestamp")
    signatures = _header(headers, "webhook-signature")
    clock = time.time() if now is None else now
    if not re.fullmatch(r"[0-9]{1,12}", timestamp) or abs(clock - int(timestamp)) > tolerance:
        raise WebhookVerificationError(f"The webhook is of another time than now: its timestamp is {timestamp}.")
    signed = f"{identifier}.{timestamp}.".encode() + content
    expected = hmac.new(_key(secret), signed, hashlib.sha256).digest()
    if not any(_matches(signature, expected) for signature in signatures.split(" ")):
        raise WebhookVerificationError("The webhook bears no signature by this secret.")
    return _event(content)


def _matches(signature: str, expected: bytes) -> bool:
    version, _, encoded = signature.partition(",")
    if version != "v1":
        return False
    try:
        # Compares in a time that does not tell how much of it was right.
        return hmac.compare_digest(base64.b64decode(encoded, validate=True), expected)
    except (binascii.Error, ValueError):
        return False


def _header(headers: Mapping[str, str], name: str) -> str:
    for key, value in headers.items():
        if key.lower() == name and value:
            return value
    raise WebhookVerificationError(f"The webhook has no header {name}.")


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret[6:] if secret.startswith("whsec_") else secret, validate=True)
    except (binascii.Error, ValueError) as error:
        raise WebhookVerificationError("expected a secret like whsec_…") from error
    if not key:
        raise WebhookVerificationError("expected a secret like whsec_…")
    return key


def _event(content: bytes) -> WebhookEvent:
    try:
        data = json.loads(content)
        return decode(_kinds.get(data["type"], JobEvent), data)
    except (ValueError, KeyError, TypeError) as error:
        raise WebhookVerificationError("The webhook’s body is no event.") from error
