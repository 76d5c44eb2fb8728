"""The application's routes, on both engines: requests made on Flask, sent again to both."""

from __future__ import annotations

import statistics
import time
import typing as t
from itertools import groupby

from .children import Children
from .compare import Difference, compare
from .findings import Part
from .masks import fits

#: Requests that are made at most.
MOST = 600
#: Seconds between two runs on Flask, so that what depends on the time shows.
APART = 2.1

Request = dict[str, t.Any]
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

    erlen = replay("erlen", 0, timed=True)
    again = replay("flask", 1, timed=True, not_before=began + APART)
    found = _differences(explored["answers"], again["answers"], erlen["answers"])
    if any(found):
        # Once more: what a clock or a race did is not said twice.
        second = _differences(
            replay("flask", 0)["answers"], again["answers"], replay("erlen", 0)["answers"]
        )
        found = _lasting(part, requests, found, second)
    for number, differences in enumerate(found):
        for difference in differences:
            part.add(
                "difference", difference.kind, difference.title,
                say(requests[number]), difference.detail,
            )  # fmt: skip
    part.findings = _grouped(part)
    _compare_facts(part, explored["facts"], again["facts"], erlen["facts"])
    part.figures |= {"requests": len(requests), "rules": len(explored["facts"]["rules"])}
    part.figures |= _times(requests, again["seconds"], erlen["seconds"])
    for place in sorted({*explored.get("refused", ()), *erlen.get("refused", ())}):
        title = f"a connection to {place} was refused ('--allow' lets it)"
        part.add("note", "connection-refused", title)
    failed = [a["raised"] or a["status"] for a in explored["answers"] if _is_failure(a)]
    if failed:
        title = f"{len(failed)} of the requests fail on Flask itself, first with {failed[0]}"
        part.add("note", "fails-on-flask", title)
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


def _grouped(part: Part) -> list[t.Any]:
    """One finding for what differs in the same way at many requests."""
    from dataclasses import replace

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


def _times(
    requests: list[Request], flask: list[float | None], erlen: list[float | None]
) -> dict[str, t.Any]:
    """Microseconds per request on both, and the median of the ratios."""
    rows = [
        (say(request), before * 1e6, after * 1e6)
        for request, before, after in zip(requests, flask, erlen, strict=True)
        if before is not None and after is not None
    ]
    if not rows:
        return {}
    rows.sort(key=lambda row: row[2] / row[1])
    shown = [{"request": r, "flask_us": round(b, 1), "erlen_us": round(a, 1)} for r, b, a in rows]
    return {
        "time per request, Erlen ÷ Flask (median)": round(
            statistics.median(after / before for _, before, after in rows), 3
        ),
        "slowest on Erlen beside Flask": shown[-3:],
        "times": shown,
    }
