"""``erlen check``: compare an application's behaviour on Flask and on Erlen."""

from __future__ import annotations

import json
import shlex
import typing as t
from importlib import import_module
from pathlib import Path

import click

SECTION_NAMES = ("names", "tests", "routes", "setup")


@click.command("check", short_help="Compare the app's behaviour on Flask and on Erlen.")
@click.argument("target", required=False)
@click.option(
    "--only",
    type=click.Choice(SECTION_NAMES),
    multiple=True,
    help="Look at this part only; may be given more than once.",
)
@click.option("--tests", help="Arguments for pytest; by default it looks in the current folder.")
@click.option("--unsafe", is_flag=True, help="Also send POST, PUT, PATCH and DELETE.")
@click.option(
    "--har",
    "recording",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also send the requests of a browser's recording (HTTP Archive).",
)
@click.option("--most", default=600, show_default=True, help="Requests to send at most.")
@click.option("--allow", multiple=True, metavar="HOST", help="A host that may be reached.")
@click.option("--limit", default=600.0, show_default=True, help="Seconds for each process.")
@click.option("--json", "json_file", type=click.File("w", lazy=True), help="Write JSON here.")
@click.option("--html", "html_file", type=click.File("w", lazy=True), help="Write a page here.")
@click.option("--strict", is_flag=True, help="Fail on warnings about the set-up, too.")
@click.option("--verbose", "-v", is_flag=True, help="Show all notes and details.")
@click.pass_context
def check_command(
    ctx: click.Context,
    target: str | None,
    only: tuple[str, ...],
    tests: str | None,
    unsafe: bool,
    recording: Path | None,
    most: int,
    allow: tuple[str, ...],
    limit: float,
    json_file: t.IO[str] | None,
    html_file: t.IO[str] | None,
    strict: bool,
    verbose: bool,
) -> None:
    """Run a Flask application on the real Flask and on Erlen, and compare.

    TARGET is what '--app' takes, such as 'module:app'. Compared are the
    names of Flask that it uses, its own tests, and the answers to
    requests made from its routes. The set-up is judged, too.

    Only GET, HEAD and OPTIONS are sent unless '--unsafe' is given, and
    nothing goes to other machines. The exit status is 0 without
    differences, 1 with some, 2 if nothing could be compared.
    """
    check: t.Any = import_module("..check", __package__)
    terminal: t.Any = import_module("..check.terminal", __package__)
    to_stdout = json_file is not None and json_file.name == "-"
    console = terminal.make_console(stderr=to_stdout)
    options = check.Options(
        target=target or getattr(ctx.obj, "app_import_path", None),
        sections=only or SECTION_NAMES,
        tests=_split(tests or ""),
        unsafe=unsafe,
        recording=recording,
        most=most,
        allowed=allow,
        limit=limit,
    )
    with console.status("…") as status:
        try:
            report = check.run(options, lambda section, text: status.update(f"{section}: {text}"))
        except check.NothingToCompare as error:
            raise _Unusable(str(error)) from error
    terminal.show(report, console, verbose=verbose)
    if json_file is not None:
        json_file.write(json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n")
    if html_file is not None:
        html_file.write(import_module("..check.page", __package__).render(report))
    failed = report.count("difference") or (strict and report.count("warning"))
    ctx.exit(1 if failed else 0)


def _split(arguments: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(arguments))
    except ValueError as error:
        raise click.BadParameter(f"{error}: {arguments}", param_hint="'--tests'") from error


class _Unusable(click.ClickException):
    """Ends the command with a status that is neither equal nor different."""

    exit_code = 2
