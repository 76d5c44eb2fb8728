"""``python -m conformance NAME | all``: the tests of extensions, run on Flask and on Erlen.

What passes on the real Flask has to pass under the alias. Environments, sources and the outcomes
on Flask are kept in ``$ERLEN_CONFORMANCE_CACHE``, else in the user's cache folder; the result of
a whole suite goes to ``conformance/results``, and from there into ``docs/compatibility.md``.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from . import compatibility, environments, results
from .catalogue import Suite, read_catalogue
from .environments import ROOT, StepFailed, clean_environment, say
from .services import service

PLUGINS = Path(__file__).with_name("plugin")
ALIAS = ("-m", "erlen.compat")
BOTH = "both"
POLL = 0.5
VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
Outcomes = dict[str, results.Outcome]


def cache() -> Path:
    """Where sources, environments and outcomes are kept: outside of the repository."""
    given = os.environ.get("ERLEN_CONFORMANCE_CACHE")
    if given:
        return Path(given)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "erlen-conformance"


# What is prepared.


def make_pins(suite: Suite) -> None:
    """Resolve what the suite wants in a fresh environment, and write the versions down."""
    with tempfile.TemporaryDirectory(dir=cache()) as folder:
        python = environments.bare_environment(Path(folder) / "venv")
        environments.run_step([*environments.pip_install(python), *suite.wanted])
        freeze = [python, "-m", "pip", "freeze", "--disable-pip-version-check"]
        done = subprocess.run(
            list(map(str, freeze)), env=clean_environment(), stdout=subprocess.PIPE, text=True
        )
    lines = [line for line in done.stdout.splitlines() if "==" in line]
    head = f"# Made by `python -m conformance {suite.name} --lock`."
    text = "\n".join([head, *sorted(lines, key=str.lower), ""])
    suite.pins.write_text(text, encoding="utf-8")


def prepare(suite: Suite) -> Path:
    """Return the Python of the suite's environment, which has its pins, Flask and Erlen.

    It is made anew when the pins or this Python change; Erlen in it reads the work tree.
    """
    home = cache() / f"{suite.name}-py{VERSION}"
    python, pins = environments.python_in(home), suite.pins.read_bytes()
    if not environments.is_made_from(home, "pins", environments.fingerprint(pins)):
        say(f"{suite.name}: making the environment")
        environments.bare_environment(home)
        environments.run_step([*environments.pip_install(python), "--no-deps", "-r", suite.pins])
        environments.note_made_from(home, "pins", environments.fingerprint(pins))
    # An editable install copies these; the package itself it reads where it is.
    copied = [ROOT / "pyproject.toml", *sorted((ROOT / "src").glob("*.p*"))]
    erlen = environments.fingerprint(bytes(ROOT), *(path.read_bytes() for path in copied))
    if not environments.is_made_from(home, "erlen", erlen):
        editable = ("--no-deps", "--editable", ROOT)
        environments.run_step([*environments.pip_install(python), *editable])
        environments.note_made_from(home, "erlen", erlen)
    return python


def copy_suite(source: Path, suite: Suite, target: Path, ports: Mapping[str, int]) -> None:
    """Copy what the tests are made of, with the ports of running services for theirs."""
    target.mkdir(parents=True)
    for name in suite.files:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name)
        elif (source / name).is_file():
            shutil.copy(source / name, target / name)
    for file in target.rglob("*.py") if ports else ():
        text = file.read_text(encoding="utf-8")
        for name, port in ports.items():
            text = re.sub(rf"\b{suite.services[name]}\b", str(port), text)
        file.write_text(text, encoding="utf-8")


# What is run.


Show = Callable[[int, "int | None"], None]


@contextmanager
def progress(title: str) -> Iterator[Show]:
    """Give a function that shows how many of how many tests have run.

    It draws a bar on a terminal where rich is installed, and does nothing elsewhere.
    """
    try:
        from rich import progress as rich
    except ImportError:
        yield lambda done, total: None
        return
    columns: list[rich.ProgressColumn] = [rich.TextColumn("{task.description:30}")]
    columns += [rich.BarColumn(), rich.MofNCompleteColumn(), rich.TimeElapsedColumn()]
    with rich.Progress(*columns, disable=not sys.stdout.isatty()) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class Report:
    """What the recorder in the suite's pytest has written so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = 0
        self.collected: int | None = None
        self.framework: str | None = None
        self.over_asgi = False
        self.ended = False
        self.outcomes: Outcomes = {}

    def update(self) -> None:
        """Read the lines that have come since."""
        if not self.path.is_file():
            return
        with self.path.open(encoding="utf-8") as file:
            file.seek(self.read)
            while (line := file.readline()).endswith("\n"):
                self.take(json.loads(line))
                self.read = file.tell()

    def take(self, line: Mapping[str, Any]) -> None:
        if "collected" in line:
            self.collected = int(line["collected"])
        elif "test" in line:
            outcome = results.Outcome(line["status"], line["message"])
            self.outcomes[same_each_time(line["test"])] = outcome
        else:
            self.framework, self.over_asgi = line["framework"], line["over_asgi"]
            self.ended = True


def same_each_time(text: str) -> str:
    """The text without addresses of objects."""
    return re.sub(r"0x[0-9a-fA-F]{6,}", "0x...", text)


def run_suite(
    suite: Suite, python: Path, source: Path, work: Path, selected: Sequence[str], transport: str
) -> Outcomes:
    """Run a suite's tests on a copy of them; ``transport`` is ``flask`` for the real Flask.

    Raises StepFailed where pytest did not come to its end, or not with the framework meant.
    """
    home, record, log = work / transport, work / f"{transport}.jsonl", work / f"{transport}.log"
    real = transport == "flask"
    argv = [str(python), *(() if real else ALIAS), "-m", "pytest", "-q", "-o", "addopts="]
    argv += ["-p", "erlen_conformance_recorder", "--timeout=60"]
    argv += [*suite.arguments, *(f"--deselect={test}" for test in suite.left_out), *selected]
    settings = {
        **clean_environment(),
        "PYTHONPATH": str(PLUGINS),
        "PATH": os.pathsep.join([str(python.parent), os.environ.get("PATH", "")]),
        "ERLEN_CONFORMANCE_RECORD": str(record),
        **({} if real else {"ERLEN_TEST_TRANSPORT": transport}),
    }
    report = Report(record)
    with ExitStack() as stack:
        ports = {name: stack.enter_context(service(name)) for name in suite.services}
        copy_suite(source, suite, home, ports)
        show = stack.enter_context(progress(f"{suite.name} ({transport})"))
        output = stack.enter_context(log.open("w"))
        process = subprocess.Popen(
            [*argv, *suite.tests], cwd=home, env=settings, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while True:
                try:
                    process.wait(POLL)
                except subprocess.TimeoutExpired:
                    report.update()
                    show(len(report.outcomes), report.collected)
                else:
                    break
        finally:
            process.kill()
        report.update()
    if not report.ended:
        raise StepFailed(f"{' '.join(argv)}\n{log.read_text(errors='replace')[-8000:]}")
    if report.framework != ("flask" if real else "erlen"):
        raise StepFailed(f"{suite.name} ran on {report.framework}, not as {transport}")
    if report.over_asgi != (transport == "asgi") and not selected:
        raise StepFailed(f"{suite.name} did not run over {transport}")
    if not selected and all(o.status != results.PASSED for o in report.outcomes.values()):
        raise StepFailed(f"{suite.name}: nothing passes\n{log.read_text(errors='replace')[-8000:]}")
    instead = {str(port): str(suite.services[name]) for name, port in ports.items()}
    hide = {**instead, str(home): ".", str(python.parent.parent): "VENV", str(ROOT): "ERLEN"}
    return {
        replaced(test, instead): results.Outcome(
            outcome.status, without_paths(outcome.message, hide)
        )
        for test, outcome in report.outcomes.items()
    }


def replaced(text: str, instead: Mapping[str, str]) -> str:
    for found, name in instead.items():
        text = text.replace(found, name)
    return text


def without_paths(message: str, hide: Mapping[str, str]) -> str:
    """The first line of a message, with no path of this machine and no address in it."""
    line = next((line.strip() for line in message.splitlines() if line.strip()), "")
    line = replaced(line, hide)
    line = re.sub(r"(?<![\w.:/])/(?:tmp|root|home|work|opt|var|usr)/[^\s'\",:)]*", "PATH", line)
    return same_each_time(line)[:240]


def on_flask(suite: Suite, python: Path, source: Path, work: Path) -> Outcomes:
    """What the real Flask's run says, kept for as long as what it depends on is the same."""
    kept = cache() / "outcomes" / f"{suite.name}-py{VERSION}-{depends_on(suite)}.json"
    if not kept.is_file():
        outcomes = run_suite(suite, python, source, work, (), "flask")
        write_json(kept, {test: asdict(outcome) for test, outcome in outcomes.items()})
    return {test: results.Outcome(**o) for test, o in json.loads(kept.read_text("utf-8")).items()}


# What is said of it.


def mark_of(*parts: bytes) -> str:
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:12]


def depends_on(suite: Suite) -> str:
    """A mark of all that the outcomes of a suite depend on, but Erlen."""
    plugins = [path.read_bytes() for path in sorted(PLUGINS.glob("*.py"))]
    said = json.dumps(asdict(suite) | {"note": "", "unstable": {}}, sort_keys=True).encode()
    return mark_of(suite.pins.read_bytes(), said, *plugins)


def erlen_now() -> str:
    """A mark of Erlen's code as it is in the work tree."""
    files = sorted((ROOT / "src").rglob("*.py"))
    return mark_of(*(path.read_bytes() for path in files))


def pinned(suite: Suite, project: str) -> str:
    found = re.search(rf"(?mi)^{project}==(\S+)$", suite.pins.read_text("utf-8"))
    return found[1] if found else ""


def described(suite: Suite, oracle: Outcomes) -> dict[str, object]:
    """The part of a result that is the same for all transports."""
    by_status: dict[str, dict[str, str]] = {"failed": {}, "skipped": {}}
    for test, outcome in sorted(oracle.items()):
        if outcome.status in by_status:
            by_status[outcome.status][test] = outcome.message
    return {
        "project": suite.project,
        "version": suite.version,
        "python": VERSION,
        "flask": pinned(suite, "flask"),
        "werkzeug": pinned(suite, "werkzeug"),
        "depends_on": depends_on(suite),
        "on_flask": {"passed": sum(o.status == results.PASSED for o in oracle.values())}
        | by_status,
    }


def held_against(
    suite: Suite, oracle: Outcomes, ours: Outcomes, transport: str, whole: bool
) -> results.Comparison:
    """Compare with the real Flask's outcomes, leaving out what is unstable on Flask."""
    listed = results.read_deviations(suite.deviations) if suite.deviations.is_file() else []
    known = [deviation for deviation in listed if deviation.transport in ("", transport)]
    left, right = (
        {test: outcome for test, outcome in run.items() if test not in suite.unstable}
        for run in (oracle, ours)
    )
    return results.compare(left, right, known, whole=whole)


def store(suite: Suite, oracle: Outcomes, transport: str, found: results.Comparison) -> None:
    """Put the result of a run of the whole suite beside that over the other transport."""
    result = described(suite, oracle)
    if suite.results.is_file():
        before = json.loads(suite.results.read_text("utf-8"))
        if before["depends_on"] == result["depends_on"]:
            result |= {name: before[name] for name in suite.transports if name in before}
    result[transport] = {
        "erlen": erlen_now(),
        "passed": len(found.passed),
        "deviations": {deviation.test: deviation.reason for deviation in found.deviating},
        "regressions": dict(sorted(found.wrong.items())),
    }
    write_json(suite.results, result)


def write_json(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    path.write_text(text, encoding="utf-8")


def is_done(suite: Suite, transport: str) -> bool:
    """Whether the stored result is one of these tests, pins and sources, and good."""
    if not suite.results.is_file():
        return False
    stored = json.loads(suite.results.read_text("utf-8"))
    run = stored.get(transport, {})
    same = (stored["python"], stored["depends_on"]) == (VERSION, depends_on(suite))
    return same and run.get("erlen") == erlen_now() and not run["regressions"]


def run_one(suite: Suite, transports: Sequence[str], options: argparse.Namespace) -> int:
    """Run one suite over the transports; return how many tests are wrong."""
    if options.lock or not suite.pins.is_file():
        say(f"{suite.name}: resolving its pins")
        make_pins(suite)
    work = Path(tempfile.mkdtemp(prefix=f"run-{suite.name}-", dir=cache()))
    wrong = 0
    try:
        python = prepare(suite)
        source = environments.source_of(suite.project, suite.version, cache())
        oracle = on_flask(suite, python, source, work)
        for transport in transports:
            selected = ("-k", options.k) if options.k else ()
            ours = run_suite(suite, python, source, work, selected, transport)
            found = held_against(suite, oracle, ours, transport, not options.k)
            if is_recorded(options):
                store(suite, oracle, transport, found)
            for deviation in found.deviating:
                say(f"deviates  {deviation.test}: {deviation.reason}")
            for test, message in sorted(found.wrong.items()):
                say(f"FAILED    {test}: {message}")
            say(
                f"{suite.name} {suite.version}, {transport}: {len(found.passed)} pass, "
                f"{len(found.deviating)} deviate, {len(found.wrong)} are wrong, "
                f"{len(found.uncounted)} do not pass on Flask either"
            )
            wrong += len(found.wrong) or not found.passed
    finally:
        if options.keep:
            say(f"kept: {work}")
        else:
            shutil.rmtree(work, ignore_errors=True)
    return wrong


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--transport",
        choices=("wsgi", "asgi", BOTH),
        default="wsgi",
        help="what carries the requests of the suite's test clients",
    )
    parser.add_argument("--resume", action="store_true", help="leave out what is done and good")
    parser.add_argument("-k", metavar="EXPRESSION", help="run the tests that match, as in pytest")
    parser.add_argument(
        "--no-record",
        action="store_true",
        help="leave the stored results and their page as they are",
    )
    parser.add_argument("--lock", action="store_true", help="resolve the pins anew")
    parser.add_argument("--keep", action="store_true", help="keep the working directory")


def is_recorded(options: argparse.Namespace) -> bool:
    """Whether the results are kept: those of whole suites, unless they are not wanted."""
    return not (options.k or options.no_record)


def run(options: argparse.Namespace) -> int:
    """Run the suites named; return the exit code: 0 when nothing is wrong."""
    catalogue = read_catalogue()
    cache().mkdir(parents=True, exist_ok=True)
    names = list(catalogue) if options.verb == "all" else [options.verb]
    passed = failed = 0
    for suite in (catalogue[name] for name in names):
        asked = suite.transports if options.transport == BOTH else (options.transport,)
        transports = [
            name
            for name in asked
            if name in suite.transports and not (options.resume and is_done(suite, name))
        ]
        if not transports:
            say(f"{suite.name}: nothing to do")
            continue
        try:
            wrong = run_one(suite, transports, options)
        except StepFailed as error:
            say(f"{suite.name}: could not run: {error}")
            wrong = 1
        passed, failed = passed + (not wrong), failed + bool(wrong)
    if is_recorded(options):
        compatibility.write(catalogue.values())
    say(f"{passed} passed, {failed} failed")
    return 1 if failed else 0
