"""The table in ``docs/compatibility.md``, made of the results in ``conformance/results``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .catalogue import Suite
from .environments import ROOT

PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- made by python -m conformance all: begin -->", "<!-- end -->"
HEAD = """\
| Extension | Version | Pass on Flask | Pass on Erlen | over ASGI | Fail or are skipped on Flask |
|-----------|---------|--------------:|--------------:|----------:|-----------------------------:|
"""


def read_results(suites: Iterable[Suite]) -> dict[str, dict[str, Any]]:
    """The stored results, by the name of the suite; suites that were not run are left out."""
    stored = {suite.name: suite.results for suite in suites if suite.results.is_file()}
    return {name: json.loads(path.read_text("utf-8")) for name, path in stored.items()}


def cell(result: Mapping[str, Any], transport: str) -> str:
    """How many tests pass over a transport, with what deviates or is wrong."""
    if transport not in result:
        return "-"
    run = result[transport]
    parts = [str(run["passed"])]
    if run["deviations"]:
        parts.append(f"{len(run['deviations'])} deviate")
    if run["regressions"]:
        parts.append(f"**{len(run['regressions'])} fail**")
    return ", ".join(parts)


def row(suite: Suite, result: Mapping[str, Any]) -> str:
    flask = result["on_flask"]
    unstable = len(suite.unstable)
    cells = [
        result["project"],
        result["version"],
        f"{flask['passed']}" + (f", {unstable} not always" if unstable else ""),
        cell(result, "wsgi"),
        cell(result, "asgi"),
        str(len(flask["failed"]) + len(flask["skipped"])),
    ]
    return f"| {' | '.join(cells)} |\n"


def total(stored: Iterable[Mapping[str, Any]]) -> str:
    """The last row: all suites together."""
    results = list(stored)
    flask = sum(result["on_flask"]["passed"] for result in results)
    wsgi, asgi = (
        sum(result[transport]["passed"] for result in results if transport in result)
        for transport in ("wsgi", "asgi")
    )
    neither = sum(len(r["on_flask"]["failed"]) + len(r["on_flask"]["skipped"]) for r in results)
    return f"| all | | {flask} | {wsgi} | {asgi} | {neither} |\n"


def explained(suite: Suite, result: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What is left out, unstable or deviating: a test, what became of it, and why."""
    for test, reason in suite.left_out.items():
        yield test, "Not run", reason
    for test, reason in suite.unstable.items():
        yield test, "Not counted", reason
    for transport in suite.transports:
        for test, reason in result.get(transport, {}).get("deviations", {}).items():
            yield test, f"Deviates over {transport.upper()}", reason


def explanations(suites: Iterable[Suite], stored: Mapping[str, Mapping[str, Any]]) -> str:
    """A paragraph for each suite that has something to explain, and a line for each reason."""
    paragraphs = []
    for suite in suites:
        tests: dict[str, list[str]] = {}
        for test, what, reason in explained(suite, stored[suite.name]):
            tests.setdefault(f"{reason} {what}: ", []).append(f"`{test}`")
        parts = [suite.note] if suite.note else []
        parts += ["\n".join(f"- {why}{', '.join(names)}" for why, names in tests.items())]
        text = "\n\n".join(part for part in parts if part)
        if text:
            paragraphs.append(f"\n### {suite.project}\n\n{text}\n")
    return "".join(paragraphs)


def surroundings(results: Iterable[Mapping[str, Any]]) -> str:
    """With which Python, Flask and Werkzeug the suites were run."""
    named: dict[str, set[str]] = {"Python": set(), "Flask": set(), "Werkzeug": set()}
    for result in results:
        for name, versions in named.items():
            versions.add(result[name.lower()])
    return ", ".join(f"{name} {' and '.join(sorted(found))}" for name, found in named.items())


def table(suites: Iterable[Suite]) -> str:
    """The table and what explains it, as Markdown."""
    suites = list(suites)
    stored = read_results(suites)
    have = [suite for suite in suites if suite.name in stored]
    text = HEAD + "".join(row(suite, stored[suite.name]) for suite in have)
    text += total(stored.values())
    text += f"\nRun with {surroundings(stored.values())}.\n"
    return text + explanations(have, stored)


def page_with(page: str, content: str) -> str:
    """The page with the generated part replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{content.rstrip()}\n\n{END}{after}"


def write(suites: Iterable[Suite], page: Path = PAGE) -> None:
    text = page.read_text("utf-8")
    page.write_text(page_with(text, table(suites)), encoding="utf-8")
