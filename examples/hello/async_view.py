"""An async view: two waits at once, one answer.

erlen --app examples/hello/async_view run
"""

from __future__ import annotations

import asyncio

from erlen import Erlen

app = Erlen(__name__)


async def ask(name: str) -> str:
    await asyncio.sleep(0.05)  # a database, or another service
    return f"answer of {name}"


@app.get("/")
async def both() -> list[str]:
    return [*await asyncio.gather(ask("one"), ask("two"))]
