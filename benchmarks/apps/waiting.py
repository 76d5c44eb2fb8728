"""An upstream that takes its time, asked with aiohttp and with requests."""

from __future__ import annotations

import os
from threading import local
from typing import Any

#: how many threads serve synchronous views, where a framework lets one choose
THREADS = 200

if "BENCHMARK_UPSTREAM" in os.environ:  # the time of importing them is not what is measured
    import aiohttp
    import requests

_of_thread = local()
_session: Any = None


def _url() -> str:
    return os.environ["BENCHMARK_UPSTREAM"]


async def fetch() -> str:
    """What the upstream answers; one client session for the process, as aiohttp advises."""
    global _session
    if _session is None:
        # Without a limit: 100 connections are the default.
        _session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with _session.get(_url()) as answer:
        text: str = await answer.text()
        return text


def fetch_sync() -> str:
    """The same on a worker thread; a session for each thread, since they are not to be shared."""
    session = getattr(_of_thread, "session", None)
    if session is None:
        session = _of_thread.session = requests.Session()
    text: str = session.get(_url()).text
    return text
