"""A report as one HTML file, without scripts and without anything from elsewhere."""

from __future__ import annotations

from pathlib import Path

from .findings import SECTIONS, Report

_TEMPLATE = Path(__file__).with_name("report.html")


def render(report: Report) -> str:
    """The page."""
    from jinja2 import Environment

    environment = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        report=report,
        sections=SECTIONS,
        differences=report.count("difference"),
        warnings=report.count("warning"),
    )
