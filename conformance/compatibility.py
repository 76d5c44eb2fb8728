"""The table in ``docs/compatibility.md``, made of the results in ``conformance/results``."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .catalogue import Suite
from .environments import ROOT

PAGE = ROOT / "docs" / "compatibility.md"
BEGIN, END = "<!-- made by python -m conformance all: begin -->", "<!-- end -->"
HEAD = """\
| Extension | Version | Pass on Flask | Pass on Erlen | over ASGI | Fail or are skipped on both |
|-----------|---------|--------------:|--------------:|----------:|----------------------------:|
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


def explanations(suites: Iterable[Suite], stored: Mapping[str, Mapping[str, Any]]) -> str:
    """What is left out, unstable or deviating, and why; nothing for a suite without any."""
    lines = []
    for suite in suites:
        found: dict[str, str] = {}
        for test, reason in suite.left_out.items():
            found[f"`{test}`, not run"] = reason
        for test, reason in suite.unstable.items():
            found[f"`{test}`, not counted"] = reason
        for transport in suite.transports:
            run = stored[suite.name].get(transport, {})
            for test, reason in run.get("deviations", {}).items():
                found.setdefault(f"`{test}`, deviates over {transport.upper()}", reason)
        if not found and not suite.note:
            continue
        lines.append(f"\n### {suite.project}\n\n")
        lines += [f"{suite.note}\n\n"] if suite.note else []
        lines += [f"- {what}: {reason}\n" for what, reason in found.items()]
    return "".join(lines)


def table(suites: Iterable[Suite]) -> str:
    """The table and what explains it, as Markdown."""
    suites = list(suites)
    stored = read_results(suites)
    have = [suite for suite in suites if suite.name in stored]
    text = HEAD + "".join(row(suite, stored[suite.name]) for suite in have)
    text += total(stored[suite.name] for suite in have)
    return text + explanations(have, stored)


def page_with(page: str, content: str) -> str:
    """The page with the generated part replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{content.rstrip()}\n\n{END}{after}"


def write(suites: Iterable[Suite], page: Path = PAGE) -> None:
    text = page.read_text("utf-8")
    page.write_text(page_with(text, table(suites)), encoding="utf-8")
