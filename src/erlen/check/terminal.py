"""A report in the terminal, with colours and a line of progress."""

from __future__ import annotations

import typing as t

from ..errors import MissingExtra
from .findings import SECTIONS, Finding, Part, Report

_STYLES = {"difference": "bold red", "warning": "yellow", "note": "dim"}
_MARKS = {"difference": "✗", "warning": "!", "note": "·"}
#: Notes that are shown of a section; the machine-readable report has all.
_MOST_NOTES = 8


def make_console(**options: t.Any) -> t.Any:
    """A console of rich's. Raises MissingExtra."""
    try:
        from rich.console import Console
    except ImportError as error:
        raise MissingExtra("erlen check", "rich", "check") from error
    return Console(highlight=False, soft_wrap=True, **options)


def show(report: Report, console: t.Any, *, verbose: bool = False) -> None:
    """Print all parts and the sum."""
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    console.print(f"[bold]erlen check[/bold] {_plain(report.target)}  [dim]{versions}[/dim]")
    for part in report.parts:
        _show_part(part, console, verbose)
    differences, warnings = report.count("difference"), report.count("warning")
    style = "bold red" if differences else "bold green"
    sum_ = f"{_times(differences, 'difference')} in behaviour" if differences else "No difference"
    console.print(f"\n[{style}]{sum_}[/{style}], {_times(warnings, 'warning')} about the set-up.")


def _show_part(part: Part, console: t.Any, verbose: bool) -> None:
    console.print(f"\n[bold]{SECTIONS[part.section]}[/bold]")
    if part.skipped:
        console.print(f"  [dim]not looked at: {_plain(part.skipped)}[/dim]")
        return
    for name, value in part.figures.items():
        if isinstance(value, (str, int, float)) and value != "":
            console.print(f"  {name}: {_plain(str(value))}")
    notes = [finding for finding in part.findings if finding.level == "note"]
    shown = [finding for finding in part.findings if finding.level != "note"]
    shown += notes if verbose else notes[:_MOST_NOTES]
    for finding in shown:
        _show_finding(finding, console, verbose)
    if not verbose and len(notes) > _MOST_NOTES:
        console.print(f"  [dim]· and {len(notes) - _MOST_NOTES} notes more ('--verbose')[/dim]")
    if not shown:
        console.print("  [green]✓ nothing found[/green]")


def _show_finding(finding: Finding, console: t.Any, verbose: bool) -> None:
    style, mark = _STYLES[finding.level], _MARKS[finding.level]
    console.print(f"  [{style}]{mark} {finding.kind}[/{style}]  {_plain(finding.title)}")
    if finding.where:
        console.print(f"      [cyan]{_plain(finding.where)}[/cyan]")
    lines = finding.detail.splitlines()
    for line in lines if verbose else lines[:6]:
        console.print(f"      [dim]{_plain(line[:400])}[/dim]")


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


def _times(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count or 'no'} {what}s"
