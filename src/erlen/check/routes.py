"""The application's routes, on both engines: requests made on Flask, sent again to both."""

from __future__ import annotations

import statistics
import time
import typing as t
from dataclasses import replace
from itertools import groupby

from .children import Children
from .compare import Difference, compare
from .findings import Finding, Part
from .masks import fits

#: Requests that are made at most.
MOST = 600
#: Seconds between two runs on Flask, so that what depends on the time shows.
APART = 2.1
#: Seconds that a request may have taken to be measured by repeating it.
QUICK = 0.05

Request = dict[str, t.Any]
#: Answers and facts, as a process gives them.
Run = dict[str, t.Any]
Tell = t.Callable[[str], None]


def check(
    children: Children,
    tell: Tell,
    *,
    unsafe: bool = False,
    recorded: list[Request] | None = None,
    most: int = MOST,
) -> Part:
    """Compare; what differs once and not again is a note."""
    part = Part("routes")
    tell("exploring on Flask")
    began = time.time()
    explored = children.run("flask", "explore", unsafe=unsafe, recorded=recorded or [], most=most)
    requests = explored["requests"]

    def replay(engine: t.Literal["flask", "erlen"], hash_seed: int, **more: t.Any) -> t.Any:
        tell(f"{len(requests)} requests on {engine.capitalize()}")
        return children.run(engine, "replay", hash_seed=hash_seed, requests=requests, **more)

    erlen = replay("erlen", 0)
    again = replay("flask", 1, not_before=began + APART)
    second = None
    if any(_differences(explored["answers"], again["answers"], erlen["answers"])):
        # Once more: what a clock or a race did is not said twice.
        second = replay("flask", 0), replay("erlen", 0)
    compared(part, requests, explored, again, erlen, second)
    part.figures |= {"requests": len(requests), "rules": len(explored["facts"]["rules"])}
    tell("measuring")
    part.figures |= _times(children, _measurable(requests, explored["answers"]))
    for place in sorted({*explored.get("refused", ()), *erlen.get("refused", ())}):
        title = f"a connection to {place} was refused ('--allow' lets it)"
        part.add("note", "connection-refused", title)
    for rule in explored["unreached"]:
        title = "not asked for: its converters want values of their own; '--har' brings some"
        part.add("note", "rule-unreached", title, rule)
    failed = [a["raised"] or a["status"] for a in explored["answers"] if _is_failure(a)]
    if failed:
        title = f"{len(failed)} of the requests fail on Flask itself, first with {failed[0]}"
        part.add("note", "fails-on-flask", title)
    return part


def compared(
    part: Part,
    requests: list[Request],
    flask: Run,
    again: Run,
    erlen: Run,
    second: tuple[Run, Run] | None = None,
) -> Part:
    """Take down how Erlen's run differs from two on Flask; what `second` has not is a note."""
    found = _differences(flask["answers"], again["answers"], erlen["answers"])
    if second is not None:
        there, here = second
        lasting = _differences(there["answers"], again["answers"], here["answers"])
        found = _lasting(part, requests, found, lasting)
    for request, differences in zip(requests, found, strict=True):
        for one in differences:
            part.add("difference", one.kind, one.title, say(request), one.detail)
    part.findings = _grouped(part)
    _compare_facts(part, flask["facts"], again["facts"], erlen["facts"])
    return part


def say(request: Request) -> str:
    """A request in a line."""
    headers = "".join(f" {name}: {value}" for name, value in request.get("headers", ()))
    visit = " (with cookies)" if request.get("visit") else ""
    host = request.get("base_url", "")
    return f"{request.get('method', 'GET')} {host}{request['path']}{headers}{visit}"


def _is_failure(answer: dict[str, t.Any]) -> bool:
    return bool(answer["raised"]) or answer["status"].startswith("5")


def _differences(*runs: list[dict[str, t.Any]]) -> list[list[Difference]]:
    return [compare(*answers) for answers in zip(*runs, strict=True)]


def _lasting(
    part: Part,
    requests: list[Request],
    first: list[list[Difference]],
    second: list[list[Difference]],
) -> list[list[Difference]]:
    lasting = []
    for request, one, two in zip(requests, first, second, strict=True):
        kinds = {difference.kind for difference in two}
        lasting.append([difference for difference in one if difference.kind in kinds])
        for difference in one:
            if difference.kind not in kinds:
                title = f"differed in one of two runs: {difference.title}"
                part.add("note", "unsteady", title, say(request), difference.detail)
    return lasting


def _grouped(part: Part) -> list[Finding]:
    """One finding for what differs in the same way at many requests."""
    ordered = sorted(part.findings, key=lambda f: (f.level, f.kind, f.title))
    grouped = []
    for _, group in groupby(ordered, key=lambda f: (f.level, f.kind, f.title)):
        first, *rest = group
        more = f" (and {len(rest)} more)" if rest else ""
        grouped.append(replace(first, where=first.where + more))
    return grouped


def _compare_facts(
    part: Part, one: dict[str, t.Any], again: dict[str, t.Any], two: dict[str, t.Any]
) -> None:
    for name, value in one.items():
        other = two[name]
        if isinstance(value, dict):
            for key in sorted({*value, *other}, key=str):
                before, same, after = (str(side.get(key)) for side in (value, again[name], other))
                if not fits(before, same, after):
                    title = f"{name}: {key}"
                    part.add("difference", f"{name}-value", title, key, _both(before, after))
        elif value != other and isinstance(value, list):
            lost = [item for item in value if item not in other]
            gained = [item for item in other if item not in value]
            if lost or (gained and name not in _MAY_HAVE_MORE):
                title = f"the application's {name}"
                part.add("difference", f"{name}-differ", title, name, _both(lost, gained))
            elif not gained:
                title = f"the order of the application's {name}"
                part.add("difference", f"{name}-order", title, name, _both(value, other))
        elif value != other and name not in _OWN_NAMES:
            title = f"the application's {name}"
            part.add("difference", f"{name}-value", title, name, _both(value, other))


#: Where Erlen may have names of its own besides Flask's.
_MAY_HAVE_MORE = ("commands", "globals", "filters", "tests")
#: What goes by another module's name on Erlen.
_OWN_NAMES = ("wsgi_app",)


def _both(one: t.Any, two: t.Any) -> str:
    return f"Flask: {one}\nErlen: {two}"


def _measurable(requests: list[Request], answers: list[dict[str, t.Any]]) -> list[Request]:
    """What can be repeated without changing anything, and without waiting long."""
    return [
        request
        for request, answer in zip(requests, answers, strict=True)
        if request.get("method", "GET") == "GET"
        and "visit" not in request
        and not _is_failure(answer)
        and not answer["cut"]
        and answer["seconds"] < QUICK
    ]


def _times(children: Children, requests: list[Request]) -> dict[str, t.Any]:
    """Microseconds per request on both, and the median of the ratios."""
    if not requests:
        return {}
    flask, erlen = (
        children.run(engine, "clock", requests=requests) for engine in ("flask", "erlen")
    )
    rows = [
        {
            "request": say(request),
            "flask_us": round(before * 1e6, 1),
            "erlen_us": round(after * 1e6, 1),
        }
        for request, before, after in zip(requests, flask, erlen, strict=True)
    ]
    rows.sort(key=lambda row: row["erlen_us"] / row["flask_us"])
    ratio = statistics.median(row["erlen_us"] / row["flask_us"] for row in rows)
    return {"time per request, Erlen ÷ Flask (median)": round(ratio, 3), "times": rows}
