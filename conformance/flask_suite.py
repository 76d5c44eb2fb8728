"""``python -m conformance flask``: Flask's own tests, run under the alias, over WSGI or ASGI."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from . import results
from .environments import (
    CACHE,
    REQUIREMENTS,
    ROOT,
    StepFailed,
    clean_environment,
    environment,
    fingerprint,
    say,
    source_of,
)

FLASK_VERSION = "3.1.3"
MOST_DEVIATIONS = 3
ALIAS = ("-m", "erlen.compat")
TRANSPORTS = ("wsgi", "asgi")


def run_tests(
    python: Path,
    tests_of: Path,
    work: Path,
    options: Sequence[str],
    *,
    alias: bool,
    show: bool,
    settings: Mapping[str, str] | None = None,
) -> dict[str, results.Outcome]:
    """Run pytest on a copy of the suite that has no ``src`` beside it, and read its report.

    ``settings`` are environment variables for the run.
    """
    suite = work / ("erlen" if alias else "flask")
    suite.mkdir(parents=True)
    shutil.copytree(tests_of / "tests", suite / "tests")
    shutil.copy(tests_of / "pyproject.toml", suite)
    report = work / f"{suite.name}.xml"
    argv = [str(python), *(ALIAS if alias else ()), "-m", "pytest", "-p", "no:cacheprovider"]
    argv += ["--timeout=60", f"--junitxml={report}", "-q", *options]
    log = work / f"{suite.name}.log"
    with log.open("w") as output:
        done = subprocess.run(
            argv,
            cwd=suite,
            env={**clean_environment(), **(settings or {})},
            stdout=None if show else output,
            stderr=None if show else subprocess.STDOUT,
            check=False,
        )
    # 0: all passed, 1: some failed, 5: none selected; anything else means that nothing was run.
    if done.returncode not in (0, 1, 5) or not report.is_file():
        raise StepFailed(f"{' '.join(argv)}\n{log.read_text()[-8000:]}")
    return results.read_junit(report)


def oracle_outcomes(source: Path, work: Path) -> dict[str, results.Outcome]:
    """What the real Flask's run says, kept for as long as the pins and this Python are the same."""
    kept = CACHE / f"flask-{FLASK_VERSION}-{fingerprint(REQUIREMENTS.read_bytes())}.json"
    if not kept.is_file():
        python = environment("flask", [f"flask=={FLASK_VERSION}"])
        say("running the tests on the real Flask")
        outcomes = run_tests(python, source, work, (), alias=False, show=False)
        kept.write_text(json.dumps({test: asdict(o) for test, o in outcomes.items()}, indent=1))
    return {test: results.Outcome(**o) for test, o in json.loads(kept.read_text()).items()}


def first_line(message: str) -> str:
    return next((line.strip() for line in message.splitlines() if line.strip()), "")


def print_table(oracle: Mapping[str, results.Outcome], outcome: results.Comparison) -> None:
    """One line a test file: how many count, pass, deviate and are wrong."""
    rows: dict[str, Counter[str]] = {}
    deviating = [deviation.test for deviation in outcome.deviating]
    for column, tests in (
        ("passed", outcome.passed),
        ("deviating", deviating),
        ("wrong", outcome.wrong),
        ("uncounted", outcome.uncounted),
    ):
        for test in tests:
            rows.setdefault(test.partition("::")[0].partition(".")[0], Counter())[column] += 1
    columns = ("passed", "deviating", "wrong", "uncounted")
    say(f"{'':30}" + "".join(f"{column:>11}" for column in columns))
    for name, row in sorted(rows.items()):
        say(f"{name:30}" + "".join(f"{row[column] or '':>11}" for column in columns))


def print_findings(outcome: results.Comparison, *, verbose: bool) -> None:
    for deviation in outcome.deviating:
        say(f"deviates  {deviation.test}: {deviation.reason}")
    for test, message in sorted(outcome.wrong.items()):
        say(f"FAILED    {test}: {message if verbose else first_line(message)}")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-k", metavar="EXPRESSION", help="run the tests that match, as in pytest")
    parser.add_argument(
        "--transport",
        choices=TRANSPORTS,
        default="wsgi",
        help="what carries the requests of the suite's test clients",
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="show pytest's output")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="copy our XML report here")


def run(options: argparse.Namespace) -> int:
    """Run the suite and compare; return the exit code: 0 when nothing is wrong."""
    CACHE.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="run-", dir=CACHE))
    try:
        source = source_of("flask", FLASK_VERSION)
        oracle = oracle_outcomes(source, work)
        # An editable install copies these; the package itself it reads where it is.
        copied = [ROOT / "pyproject.toml", *sorted((ROOT / "src").glob("*.p*"))]
        python = environment("erlen", ["--editable", ROOT], [p.read_bytes() for p in copied])
        say(f"running the tests on Erlen over {options.transport.upper()}, under the alias")
        selected = ("-k", options.k) if options.k else ()
        ours = run_tests(
            python,
            source,
            work,
            selected,
            alias=True,
            show=options.verbose,
            settings={"ERLEN_TEST_TRANSPORT": options.transport},
        )
        if options.junit:
            shutil.copy(work / "erlen.xml", options.junit)
    finally:
        if options.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    deviations = results.read_deviations()
    if len(deviations) > MOST_DEVIATIONS:
        say(f"deviations.toml lists more than {MOST_DEVIATIONS} deviations")
        return 1
    if options.transport == "asgi":
        deviations += results.read_deviations(results.DEVIATIONS_OVER_ASGI)
    outcome = results.compare(oracle, ours, deviations, whole=not options.k)
    print_table(oracle, outcome)
    print_findings(outcome, verbose=options.verbose)
    say(
        f"{len(outcome.passed)} passed, {len(outcome.wrong)} failed, "
        f"{len(outcome.deviating)} xfailed, {len(outcome.uncounted)} skipped"
    )
    return 1 if outcome.wrong or not outcome.passed else 0
