"""Keyword arguments, for those who check types; the API says what each means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Optional, Union

if TYPE_CHECKING:
    from datetime import datetime

    from typing_extensions import Literal, TypedDict

    from ._input import Document

    class Options(TypedDict, total=False):
        #: Pages to read, counted from 1, for example "1-3,7".
        pages: str
        min_confidence: float
        max_side_length: int
        characters: bool

    class Webhook(TypedDict, total=False):
        url: str
        endpoint_ids: List[str]
        events: List[str]

    class ReadSettings(TypedDict, total=False):
        mode: Literal["document", "line"]
        model: str
        model_version: Optional[str]
        options: Options
        cache: Literal["use", "refresh", "bypass"]

    class JobSettings(ReadSettings, total=False):
        webhook: Webhook
        priority: Literal["high", "normal", "low"]
        timeout_seconds: Optional[int]
        deadline: Union[str, datetime, None]
        ttl_seconds: int
        metadata: Mapping[str, str]
        #: Sent again with the same key it is the same job. Without one each call makes up its own.
        idempotency_key: str

    class BatchSettings(JobSettings, total=False):
        #: ``{"bucket": …, "key": …}``: an object of JSON lines.
        manifest: Dict[str, Any]
        #: ``{"bucket": …, "prefix": …, "glob": …}``
        prefix: Dict[str, Any]

    class _BatchItem(TypedDict):
        source: Document

    class BatchItem(_BatchItem, total=False):
        """A document of a batch, with what differs from the others."""

        options: Options
        metadata: Mapping[str, str]
