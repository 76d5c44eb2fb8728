"""Compare what Flask answered, twice, with what Erlen answered."""

from __future__ import annotations

import base64
import typing as t
from collections import Counter
from dataclasses import dataclass

from . import bodies, cookies
from .masks import fits

Answer = dict[str, t.Any]

#: Levels of a log message that are compared; what each server logs of a request is its own.
_LOGGED = ("WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True)
class Difference:
    """A way in which an answer of Erlen's is not Flask's."""

    kind: str
    title: str
    detail: str = ""


def compare(first: Answer, again: Answer, other: Answer) -> list[Difference]:
    """All differences; `first` and `again` are of two runs on Flask."""
    return [
        Difference(*found)
        for part in (_status, _headers, _cookies, _body, _steps, _logs)
        for found in part(first, again, other)
    ]


Found = tuple[str, str, str]


def _both(one: t.Any, two: t.Any) -> str:
    return f"Flask: {one}\nErlen: {two}"


def _status(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    before, after = one["raised"], two["raised"]
    if (before or after) and not fits(str(before), str(again["raised"]), str(after)):
        yield "exception", "an exception leaves the application", _both(before, after)
    elif not fits(one["status"], again["status"], two["status"]):
        yield "status", f"the status is {two['status']}", _both(one["status"], two["status"])


def _headers(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    before, same, after = (_by_name(answer) for answer in (one, again, two))
    for name in before.keys() - after.keys():
        yield "header-missing", f"the header {name} is missing", _both(before[name], "none")
    for name in after.keys() - before.keys():
        yield "header-added", f"the header {name} is there", _both("none", after[name])
    for name in sorted(before.keys() & after.keys()):
        values = [", ".join(side.get(name, ())) for side in (before, same, after)]
        if name == "content-length" and one["body"] != two["body"]:
            continue  # as long as the body, which is compared
        if not fits(*values) or len(before[name]) != len(after[name]):
            kind = "redirect" if name == "location" else "header-value"
            yield kind, f"the value of the header {name}", _both(before[name], after[name])
    orders = [[n.lower() for n, _ in answer["headers"]] for answer in (one, again, two)]
    if orders[0] == orders[1] != orders[2] and Counter(orders[0]) == Counter(orders[2]):
        yield "header-order", "the order of the headers", _both(orders[0], orders[2])


def _by_name(answer: Answer) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in answer["headers"]:
        if name.lower() != "set-cookie":
            found.setdefault(name.lower(), []).append(value)
    return found


def _cookies(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    yield from cookies.compare(*(_set_cookies(answer) for answer in (one, again, two)))


def _set_cookies(answer: Answer) -> list[str]:
    return [value for name, value in answer["headers"] if name.lower() == "set-cookie"]


def _body(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    raw = [base64.b64decode(answer["body"]) for answer in (one, again, two)]
    is_cut = any(answer.get("cut") for answer in (one, again, two))
    if is_cut:
        # How much of a stream came until it was cut off says nothing.
        raw = [body[: min(map(len, raw))] for body in raw]
    if raw[0] != raw[2] and not fits(*(body.decode("latin-1") for body in raw)):
        yield bodies.describe(raw[0], raw[2])
    elif is_cut or one["chunks"] != again["chunks"]:
        return
    elif (one["chunks"] > 1) != (two["chunks"] > 1):
        title = "the body is streamed in parts on one side only"
        yield "streamed", title, _both(one["chunks"], two["chunks"])


def _steps(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    traces = [answer["trace"] for answer in (one, again, two)]
    for family in ("hook", "signal"):
        before, same, after = (
            [step for step in trace if (step[0] == "signal") is (family == "signal")]
            for trace in traces
        )
        yield from _sequence(family, before, same, after)
    calls, _, calls_there = ([step[:2] for step in trace] for trace in traces)
    if calls != calls_there and _sorted(calls) == _sorted(calls_there):
        own, there = _without_signals(calls), _without_signals(calls_there)
        if own == there and _signals(calls) == _signals(calls_there):
            detail = _both(_listed(calls), _listed(calls_there))
            yield "order", "when signals are sent between hooks", detail


def _sequence(
    family: str, before: list[list[str]], again: list[list[str]], after: list[list[str]]
) -> t.Iterator[Found]:
    names, names_there = ([_label(step) for step in side] for side in (before, after))
    missing, added = Counter(names) - Counter(names_there), Counter(names_there) - Counter(names)
    for name in missing:
        yield f"{family}-missing", f"{name} does not run", _both(names, names_there)
    for name in added:
        yield f"{family}-added", f"{name} runs more often", _both(names, names_there)
    if missing or added:
        return
    if names != names_there:
        yield f"{family}-order", f"the order of {family}s", _both(names, names_there)
        return
    same = again if len(again) == len(before) else before
    for one, one_again, two in zip(before, same, after, strict=True):
        if not fits(one[2], one_again[2], two[2]):
            title = f"what {_label(one)} is called with"
            yield f"{family}-arguments", title, _both(one[2], two[2])


def _label(step: list[str]) -> str:
    return f"{step[0]} {step[1]}"


def _sorted(calls: list[list[str]]) -> list[list[str]]:
    return sorted(calls)


def _signals(calls: list[list[str]]) -> list[list[str]]:
    return [call for call in calls if call[0] == "signal"]


def _without_signals(calls: list[list[str]]) -> list[list[str]]:
    return [call for call in calls if call[0] != "signal"]


def _listed(calls: list[list[str]]) -> str:
    return " → ".join(call[1] for call in calls)


def _logs(one: Answer, again: Answer, two: Answer) -> t.Iterator[Found]:
    before, same, after = (
        ["\n".join(record) for record in answer["logs"] if record[0] in _LOGGED]
        for answer in (one, again, two)
    )
    if not fits("\n\n".join(before), "\n\n".join(same), "\n\n".join(after)):
        yield "log", "what is logged", _both(before, after)
