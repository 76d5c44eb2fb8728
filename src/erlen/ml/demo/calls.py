"""The commands that ask a predictor what its form asked: for a shell, and in Python."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass
from mimetypes import guess_type
from textwrap import indent

#: Types that curl tells from a file's name by itself.
_KNOWN_TO_CURL = {
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "htm": "text/html",
    "html": "text/html",
    "pdf": "application/pdf",
    "xml": "application/xml",
}


@dataclass(frozen=True)
class Sent:
    """A value that was sent: a text, or a file of a name and type."""

    name: str
    text: str = ""
    filename: str | None = None
    content_type: str = ""


@dataclass(frozen=True)
class Call:
    """A command that asks the same again."""

    name: str
    title: str
    text: str


def calls_of(url: str, sent: t.Sequence[Sent], *, streams: bool = False) -> list[Call]:
    """The commands for what was sent, in the order in which it was.

    :param streams: whether the answer comes as lines of JSON, one after the other
    """
    return [
        Call("curl", "curl", curl_of(url, sent, streams=streams)),
        Call("python", "Python", python_of(url, sent, streams=streams)),
    ]


def curl_of(url: str, sent: t.Sequence[Sent], *, streams: bool = False) -> str:
    """The call for a POSIX shell."""
    parts = [part for each in sent for part in _curl_part(each)] or ["-X POST"]
    if streams:
        parts.insert(0, "--no-buffer")
    return " \\\n  ".join([f"curl {parts[0]}", *parts[1:], shlex.quote(url)])


def _curl_part(each: Sent) -> list[str]:
    if each.filename is None:
        # Not `-F`, which reads a file where a value starts with `@` or `<`.
        return [f"--form-string {shlex.quote(f'{each.name}={each.text}')}"]
    name = each.filename
    if any(character in name for character in ',;"\\'):
        name = '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
    value = f"{each.name}=@{name}"
    ending = each.filename.rpartition(".")[2].lower()
    if each.content_type != _KNOWN_TO_CURL.get(ending, "application/octet-stream"):
        value += f";type={each.content_type}"
    return [f"-F {shlex.quote(value)}"]


def python_of(url: str, sent: t.Sequence[Sent], *, streams: bool = False) -> str:
    """The call with the package `requests`."""
    texts: dict[str, list[str]] = {}
    for each in sent:
        if each.filename is None:
            texts.setdefault(each.name, []).append(repr(each.text))
    data = [
        f"{name!r}: {found[0] if len(found) == 1 else '[' + ', '.join(found) + ']'}"
        for name, found in texts.items()
    ]
    files = [f"({each.name!r}, {_python_file(each)})" for each in sent if each.filename is not None]
    given = [repr(url), *_python_group("data={", data, "}"), *_python_group("files=[", files, "]")]
    ending = ["print(answer.json())"]
    if streams:
        given.append("stream=True")
        ending = ["for line in answer.iter_lines():", "    print(line.decode())"]
    call = _python_group("answer = requests.post(", given, ")")
    return "\n".join(["import requests", "", *call, *ending])


def _python_group(before: str, parts: list[str], after: str) -> list[str]:
    """Parts with commas between, on a line if they fit; none for no parts."""
    if not parts:
        return []
    line = before + ", ".join(parts) + after
    if len(line) <= 72 and "\n" not in line:
        return [line]
    inner = "".join(f"{indent(part, '    ')},\n" for part in parts)
    return [f"{before}\n{inner}{after}"]


def _python_file(each: Sent) -> str:
    opened = f"open({each.filename!r}, 'rb')"
    guessed = guess_type(each.filename or "")[0]
    if guessed != each.content_type:
        return f"({each.filename!r}, {opened}, {each.content_type!r})"
    return opened
