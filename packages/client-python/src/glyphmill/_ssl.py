"""Which certificates are trusted."""

import functools
import ssl

import httpx


@functools.lru_cache(maxsize=None)
def ssl_context() -> ssl.SSLContext:
    """The usual one of httpx, made once: it takes longer than most calls."""
    return httpx.create_ssl_context()
