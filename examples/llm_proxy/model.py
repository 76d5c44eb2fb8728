"""The language model upstream, called over HTTP: chat completions, read as they are written."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

#: Characters after which an answer is cut off, whatever the model was asked for.
LONGEST_ANSWER = 100_000
#: Seconds: to connect, without a word, and for an answer in all.
CONNECTING, SILENCE, WHOLE = 5, 30, 100

# What people are told, by the upstream's status. What the upstream itself says stays in the log:
# it may quote the key.
_REFUSALS = {
    401: "This server is not allowed to use the model. Its owner has to see to it.",
    403: "This server is not allowed to use the model. Its owner has to see to it.",
    429: "The model is busy. Try again in a moment.",
}
_UNREACHABLE = "The model cannot be reached."
_FAILED = "The model has failed."
_BROKEN = "The answer broke off."
_SLOW = "The model took too long."


class ModelError(Exception):
    """No answer, or no whole one.

    The text is for the person who asked; `detail`, for the log, says what happened.
    """

    def __init__(self, message: str, detail: str) -> None:
        super().__init__(message)
        self.detail = detail


class Model:
    """A model behind `url`, such as `https://api.example.org/v1`.

    :param key: goes into the `Authorization` header of calls, and nowhere else
    :param most_calls: how many answers may be under way at once in this process
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        key: str,
        *,
        name: str,
        most_calls: int,
        most_tokens: int = 1000,
    ) -> None:
        self._session = session
        self._url = url.rstrip("/") + "/chat/completions"
        self._key = key
        self._name = name
        self._most_tokens = most_tokens
        self._most_calls = most_calls
        self._calls = 0

    async def answer(self, prompt: str) -> AsyncGenerator[str, None]:
        """The pieces of the answer, each as soon as it is there.

        The next piece is read when it is asked for, and closing the iterator ends the call, so
        whoever iterates decides how fast the model may speak and when it has said enough. Raises
        ModelError.
        """
        if self._calls >= self._most_calls:
            raise ModelError(_REFUSALS[429], f"{self._calls} calls are under way already")
        self._calls += 1
        length = 0
        try:
            async with aclosing(self._pieces(prompt)) as pieces:
                async for piece in pieces:
                    length += len(piece)
                    if length > LONGEST_ANSWER:
                        raise ModelError(_BROKEN, f"more than {LONGEST_ANSWER} characters")
                    yield piece
        except asyncio.TimeoutError as error:
            raise ModelError(_SLOW, repr(error)) from error
        except aiohttp.ClientConnectorError as error:
            raise ModelError(_UNREACHABLE, repr(error)) from error
        except (aiohttp.ClientError, HttpProcessingError, ValueError) as error:
            raise ModelError(_BROKEN, repr(error)) from error
        finally:
            self._calls -= 1

    async def _pieces(self, prompt: str) -> AsyncGenerator[str, None]:
        request = {
            "model": self._name,
            "messages": [{"role": "user", "content": prompt}],
            "max_tokens": self._most_tokens,
            "stream": True,
        }
        async with self._session.post(
            self._url,
            json=request,
            headers={"Authorization": f"Bearer {self._key}", "Accept": "text/event-stream"},
            allow_redirects=False,  # the key is meant for this address
            timeout=aiohttp.ClientTimeout(WHOLE, sock_connect=CONNECTING, sock_read=SILENCE),
        ) as response:
            if response.status != 200:
                raise await self._refusal(response)
            event: list[str] = []
            async for line in response.content:
                data = data_of(event, line)
                if data == "[DONE]":
                    return
                piece = data and self._piece(data)
                if piece:
                    yield piece
            raise ModelError(_BROKEN, "the stream ended without [DONE]")

    def _piece(self, data: str) -> str:
        """The text of a chunk; raises ValueError where it is none."""
        chunk = json.loads(data)
        if isinstance(chunk, dict) and "error" in chunk:
            raise ModelError(_FAILED, self._without_key(data))
        try:
            choices = chunk["choices"]
            text = choices[0]["delta"].get("content") if choices else None
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError(f"not a chunk of a completion: {data[:200]!r}") from error
        # JSON can spell halves of characters, which no response can carry.
        return str(text or "").encode(errors="replace").decode()

    async def _refusal(self, response: aiohttp.ClientResponse) -> ModelError:
        said = (await response.content.read(2000)).decode(errors="replace")
        detail = f"status {response.status}: {self._without_key(said)}"
        return ModelError(_REFUSALS.get(response.status, _FAILED), detail)

    def _without_key(self, text: str) -> str:
        return repr(text.replace(self._key, "***") if self._key else text)


def data_of(event: list[str], line: bytes) -> str | None:
    """Add a line to the event that has begun; at the empty line after it, take its data out.

    Comments and other fields are skipped. Raises ValueError for what is not UTF-8. Source: WHATWG,
    HTML, "Server-sent events".
    """
    text = line.decode().rstrip("\r\n")
    if text.startswith("data:"):
        event.append(text[5:].removeprefix(" "))
    if text or not event:
        return None
    data = "\n".join(event)
    event.clear()
    return data
