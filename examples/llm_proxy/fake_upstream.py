"""A stand-in for a language model: looks like OpenAI's chat completions, and counts its calls.

FAKE_API_KEY=secret erlen --app examples/llm_proxy/fake_upstream serve --bind 127.0.0.1:8001

It answers "Count to 100", "Fail at once", "Fail halfway", "Break off" and "Say nothing" to the
letter, and everything else with the same few sentences.
"""

from __future__ import annotations

import asyncio
import hmac
import os
import re
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, dataclass
from typing import Any

from erlen import Blueprint, Erlen, EventStream, current_app, request

api = Blueprint("api", __name__)

LONGEST_COUNT = 100_000
SPEECH = """\
You asked: “{question}” I am a small program that stands in for a language model, so I have no \
opinion of my own. But I can show you how an answer arrives.

Each of my words leaves here as an event of its own. The proxy asks for the next one when it has \
passed the last one on, and the page shows what it gets. Nobody along the way waits for the end.

If you have read enough, press Stop. Then the page lets go of the proxy, the proxy lets go of me, \
and I stop talking in the middle of a"""


@dataclass
class Counts:
    """What became of the calls for streams since the start."""

    running: int = 0
    finished: int = 0
    abandoned: int = 0
    tokens: int = 0


def create_app(config: Mapping[str, Any] | None = None) -> Erlen:
    """Build the application; `config` overrides what the environment says."""
    app = Erlen(__name__)
    app.config.update(
        API_KEY=os.environ.get("FAKE_API_KEY", ""),
        TOKENS_PER_SECOND=float(os.environ.get("FAKE_TOKENS_PER_SECOND", "20")),
        MAX_CONTENT_LENGTH=1_000_000,
    )
    app.config.update(config or {})
    app.extensions["counts"] = Counts()
    app.register_blueprint(api)
    return app


@api.get("/counts")
async def counts() -> dict[str, int]:
    return asdict(current_app.extensions["counts"])


@api.post("/v1/chat/completions")
async def complete() -> Any:
    sent = request.headers.get("Authorization", "").removeprefix("Bearer ")
    if not hmac.compare_digest(sent.encode(), current_app.config["API_KEY"].encode()):
        return problem(401, "invalid_api_key", f"Incorrect API key provided: {sent}")
    body = request.get_json()
    try:
        prompt = str(body["messages"][-1]["content"])
        most = int(body.get("max_tokens", LONGEST_COUNT))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return problem(400, "invalid_request_error", "Send messages, and max_tokens as a number.")
    if is_told(prompt, "fail at once"):
        return problem(500, "server_error", "The stand-in was told to fail.")
    pause = 1 / current_app.config["TOKENS_PER_SECOND"]
    words = chunks(prompt, str(body.get("model", "")), most, pause)
    if body.get("stream"):
        return EventStream(counted(words, current_app.extensions["counts"]))
    parts = [word["choices"][0]["delta"].get("content", "") async for word in words]
    message = {"role": "assistant", "content": "".join(parts)}
    return {"object": "chat.completion", "choices": [{"index": 0, "message": message}]}


def problem(status: int, code: str, message: str) -> tuple[dict[str, Any], int]:
    return {"error": {"message": message, "type": code, "code": code}}, status


def is_told(prompt: str, words: str) -> bool:
    return prompt.strip().rstrip(".!").lower() == words


async def chunks(
    prompt: str, model: str, most: int, pause: float
) -> AsyncGenerator[dict[str, Any], None]:
    """The answer as chunks of a completion, one every `pause` seconds."""
    common = {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": "chat.completion.chunk",
        "created": int(time.time()),
        "model": model,
    }

    def chunk(delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        return {**common, "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]}

    if is_told(prompt, "say nothing"):
        await asyncio.sleep(3600)
    yield chunk({"role": "assistant", "content": ""})
    said = 0
    for word in answer(prompt):
        await asyncio.sleep(pause)
        yield chunk({"content": word})
        said += 1
        if said == most:
            yield chunk({}, "length")
            return
    if is_told(prompt, "fail halfway"):
        yield problem(500, "server_error", "The stand-in was told to fail.")[0]
    elif not is_told(prompt, "break off"):
        yield chunk({}, "stop")


async def counted(
    words: AsyncGenerator[dict[str, Any], None], counts: Counts
) -> AsyncIterator[dict[str, Any] | str]:
    """The chunks and the end mark; a stream that is closed before its end was abandoned."""
    counts.running += 1
    ended = False
    word: dict[str, Any] = {}
    try:
        async with aclosing(words):
            async for word in words:
                yield word
                counts.tokens += 1
        ended = True
        if "choices" in word and word["choices"][0]["finish_reason"]:
            yield "[DONE]"
    finally:
        counts.running -= 1
        counts.finished += ended
        counts.abandoned += not ended


def answer(prompt: str) -> Iterator[str]:
    """The words of the answer, each with the space after it."""
    if found := re.fullmatch(r"count to (\d{1,9})[.!]?", prompt.strip(), re.I):
        yield from (f"{n} " for n in range(1, min(int(found[1]), LONGEST_COUNT) + 1))
        return
    question = prompt if len(prompt) <= 200 else f"{prompt[:200]}…"
    text = SPEECH.format(question=question)
    if is_told(prompt, "fail halfway") or is_told(prompt, "break off"):
        text = text[: len(text) // 4]
    yield from re.findall(r"\S+\s*", text)
