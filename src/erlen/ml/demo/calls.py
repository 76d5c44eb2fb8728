"""The commands that ask a predictor what its form asked: for a shell, and in Python."""

from __future__ import annotations

import shlex
import typing as t
from dataclasses import dataclass
from mimetypes import guess_type

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


def calls_of(url: str, sent: t.Sequence[Sent]) -> list[Call]:
    """The commands for what was sent, in the order in which it was."""
    return [
        Call("curl", "curl", curl_of(url, sent)),
        Call("python", "Python", python_of(url, sent)),
    ]


def curl_of(url: str, sent: t.Sequence[Sent]) -> str:
    """The call for a POSIX shell."""
    parts = [part for each in sent for part in _curl_part(each)] or ["-X POST"]
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


def python_of(url: str, sent: t.Sequence[Sent]) -> str:
    """The call with the package `requests`."""
    texts = [each for each in sent if each.filename is None]
    files = [each for each in sent if each.filename is not None]
    lines = ["import requests", ""]
    named = "{" + ", ".join(f"{each.name!r}: {each.text!r}" for each in texts) + "}"
    given = []
    if texts:
        given.append(f"data={named}")
    if files:
        given.append("files={" + ", ".join(map(_python_file, files)) + "}")
    call = f"answer = requests.post({', '.join([repr(url), *given])})"
    if len(call) > 88:
        call = "answer = requests.post(\n" + "".join(f"    {p},\n" for p in [repr(url), *given])
        call += ")"
    return "\n".join([*lines, call, "print(answer.json())"])


def _python_file(each: Sent) -> str:
    opened = f"open({each.filename!r}, 'rb')"
    guessed = guess_type(each.filename or "")[0]
    if guessed != each.content_type:
        return f"{each.name!r}: ({each.filename!r}, {opened}, {each.content_type!r})"
    return f"{each.name!r}: {opened}"
