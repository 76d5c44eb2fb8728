"""The run of extensions' tests: what is recorded, compared and shown of them."""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance import compatibility, extensions, results, services
from conformance.catalogue import Suite, read_catalogue
from conformance.environments import StepFailed

CATALOGUE = read_catalogue()
TESTS = """
import pytest

def test_good(): pass
def test_bad(): assert 1 == 2
def test_left(): pytest.skip("not now")
@pytest.fixture
def leaky():
    yield
    raise RuntimeError("leak")
def test_leaks(leaky): pass
@pytest.mark.parametrize("what", [object()], ids=repr)
def test_object(what): pass
"""


def recorded(folder: Path, tests: str, *alias: str, **settings: str) -> extensions.Report:
    """Run pytest with the recorder on tests, and read what it wrote."""
    (folder / "test_it.py").write_text(tests)
    record = folder / "record.jsonl"
    surroundings = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PYTEST")},
        "PYTHONPATH": str(extensions.PLUGINS),
        "ERLEN_CONFORMANCE_RECORD": str(record),
        **settings,
    }
    argv = [sys.executable, *alias, "-m", "pytest", "-q", "-p", "erlen_conformance_recorder"]
    subprocess.run(
        [*argv, "-p", "no:randomly", f"--rootdir={folder}"],
        cwd=folder,
        env=surroundings,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    report = extensions.Report(record)
    report.update()
    return report


def test_the_recorder_writes_the_worst_phase_of_each_test(tmp_path: Path) -> None:
    report = recorded(tmp_path, TESTS)
    statuses = {test.partition("::")[2]: o.status for test, o in report.outcomes.items()}
    assert statuses == {
        "test_good": results.PASSED,
        "test_bad": results.FAILED,
        "test_left": results.SKIPPED,
        "test_leaks": results.FAILED,
        "test_object[<object object at 0x...>]": results.PASSED,
    }
    assert (report.collected, report.ended) == (5, True)
    assert report.outcomes["test_it.py::test_bad"].message.startswith("test_it.py:5: assert 1 == 2")


def test_a_file_that_cannot_be_imported_is_a_failure(tmp_path: Path) -> None:
    report = recorded(tmp_path, "import nothing_of_this_name")
    assert [o.status for o in report.outcomes.values()] == [results.FAILED]


@pytest.mark.parametrize(
    ("alias", "framework", "transport"),
    [
        pytest.param((), "flask", "", id="flask"),
        pytest.param(extensions.ALIAS, "erlen", "wsgi", id="erlen over WSGI"),
        pytest.param(extensions.ALIAS, "erlen", "asgi", id="erlen over ASGI"),
    ],
)
def test_the_recorder_says_what_the_tests_ran_on(
    tmp_path: Path, alias: tuple[str, ...], framework: str, transport: str
) -> None:
    pytest.importorskip("flask", reason="the real Flask is not installed")
    tests = "import flask\ndef test_it(): flask.Flask('x').test_client().get('/')"
    settings = {"ERLEN_TEST_TRANSPORT": transport} if transport else {}
    report = recorded(tmp_path, tests, *alias, **settings)
    assert (report.framework, report.over_asgi) == (framework, transport == "asgi")


def test_a_report_can_be_read_while_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    report = extensions.Report(path)
    report.update()
    lines = ['{"collected": 2}', '{"test": "a", "status": "passed", "message": ""}']
    path.write_text(f"{lines[0]}\n{lines[1][:10]}")
    report.update()
    assert (report.collected, report.outcomes) == (2, {})
    path.write_text("\n".join([*lines, ""]))
    report.update()
    assert (list(report.outcomes), report.ended) == (["a"], False)


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        pytest.param("\n  x.py:1: bad\nmore", "x.py:1: bad", id="first line"),
        pytest.param("open('/suite/data.txt')", "open('./data.txt')", id="the suite's folder"),
        pytest.param("no '/tmp/pytest-0/a.db'", "no 'PATH'", id="a temporary path"),
        pytest.param("<X at 0x7f32ab00cd>", "<X at 0x...>", id="an address"),
        pytest.param("GET http://localhost/tmp/x", "GET http://localhost/tmp/x", id="a URL"),
    ],
)
def test_messages_tell_nothing_of_this_machine(message: str, shown: str) -> None:
    assert shown == extensions.without_paths(message, {"/suite": "."})


def test_ports_in_a_copied_suite_are_those_of_the_running_services(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "tests").mkdir(parents=True)
    (source / "tests/test_it.py").write_text("url = 'redis://localhost:6360/1'; n = 163600")
    suite = Suite("it", "It", "1", services={"redis": 6360})
    extensions.copy_suite(source, suite, tmp_path / "copy", {"redis": 50001})
    text = (tmp_path / "copy/tests/test_it.py").read_text()
    assert text == "url = 'redis://localhost:50001/1'; n = 163600"


@pytest.mark.live
@pytest.mark.parametrize("name", services.COMMANDS)
def test_a_service_runs_for_the_time_of_a_block(name: str) -> None:
    import socket

    try:
        with services.service(name) as port, socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(b"version\r\n" if name == "memcached" else b"PING\r\n")
            assert peer.recv(7) == (b"VERSION" if name == "memcached" else b"+PONG\r\n")
    except StepFailed as error:
        pytest.skip(str(error))
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0


def test_a_service_that_ends_at_once_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    failing = [sys.executable, "-c", "raise SystemExit(3)"]
    monkeypatch.setitem(services.COMMANDS, "failing", lambda port: failing)
    with pytest.raises(StepFailed, match="failing ended with 3"), services.service("failing"):
        pass


def held(suite: Suite, oracle: dict[str, str], ours: dict[str, str]) -> results.Comparison:
    left, right = ({t: results.Outcome(s) for t, s in run.items()} for run in (oracle, ours))
    return extensions.held_against(suite, left, right, "asgi", True)


def test_what_is_unstable_on_flask_is_not_counted() -> None:
    suite = replace(CATALOGUE["flask-login"], unstable={"a": "It races."})
    found = held(suite, {"a": "passed", "b": "passed"}, {"a": "failed", "b": "passed"})
    assert (found.passed, found.wrong) == (["b"], {})


@pytest.mark.parametrize(
    ("transport", "wrong"),
    [
        pytest.param("", [], id="both"),
        pytest.param("asgi", [], id="this one"),
        pytest.param("wsgi", ["a"], id="the other"),
    ],
)
def test_a_deviation_is_of_its_transport(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, transport: str, wrong: list[str]
) -> None:
    listed = tmp_path / "x.toml"
    of = f'transport = "{transport}"\n' if transport else ""
    listed.write_text(f'[[deviation]]\ntest = "a"\nreason = "Its name."\n{of}')
    monkeypatch.setattr(Suite, "deviations", listed)
    found = held(CATALOGUE["flask-login"], {"a": "passed"}, {"a": "failed"})
    assert list(found.wrong) == wrong


def test_a_suite_says_why_it_leaves_tests_out(tmp_path: Path) -> None:
    path = tmp_path / "suites.toml"
    path.write_text('[x]\nproject = "X"\nversion = "1"\n[x.left_out]\n"test_a" = " "\n')
    with pytest.raises(ValueError, match="no reason given for test_a of x"):
        read_catalogue(path)


def result_of(**runs: Any) -> dict[str, Any]:
    on_flask = {"passed": 3, "failed": {"t": "no"}, "skipped": {}}
    return {"project": "X", "version": "1", "on_flask": on_flask, **runs}


@pytest.mark.parametrize(
    ("runs", "row"),
    [
        pytest.param({}, "| X | 1 | 3 | - | - | 1 |\n", id="not run"),
        pytest.param(
            {"wsgi": {"passed": 3, "deviations": {}, "regressions": {}}},
            "| X | 1 | 3 | 3 | - | 1 |\n",
            id="good",
        ),
        pytest.param(
            {"asgi": {"passed": 1, "deviations": {"a": "b"}, "regressions": {"c": "d"}}},
            "| X | 1 | 3 | - | 1, 1 deviate, **1 fail** | 1 |\n",
            id="deviating and failing",
        ),
    ],
)
def test_a_row_tells_what_became_of_a_suite(runs: dict[str, Any], row: str) -> None:
    assert row == compatibility.row(Suite("x", "X", "1"), result_of(**runs))


def test_the_last_row_is_of_all_suites_together() -> None:
    run = {"passed": 3, "deviations": {}, "regressions": {}}
    stored = [result_of(wsgi=run, asgi={**run, "passed": 2}), result_of(wsgi=run)]
    assert compatibility.total(stored) == "| all | | 6 | 6 | 2 | 2 |\n"


def test_what_is_left_out_or_deviates_is_explained_once_for_each_reason() -> None:
    suite = Suite("x", "X", "1", left_out={"a": "No server.", "b": "No server."}, note="Old.")
    run = {"passed": 3, "deviations": {"c": "Its name."}, "regressions": {}}
    assert compatibility.explanations([suite], {"x": result_of(asgi=run)}) == (
        "\n### X\n\nOld.\n\n- No server. Not run: `a`, `b`\n- Its name. Deviates over ASGI: `c`\n"
    )


def test_a_suite_with_nothing_to_explain_has_no_paragraph() -> None:
    assert compatibility.explanations([Suite("x", "X", "1")], {"x": result_of()}) == ""


def test_the_page_keeps_what_is_around_the_table() -> None:
    page = f"before\n{compatibility.BEGIN}\nold\n{compatibility.END}\nafter\n"
    made = compatibility.page_with(page, "new\n")
    assert made == f"before\n{compatibility.BEGIN}\n\nnew\n\n{compatibility.END}\nafter\n"
    assert compatibility.page_with(made, "new\n") == made


def test_the_page_shows_the_stored_results() -> None:
    page = compatibility.PAGE.read_text("utf-8")
    assert compatibility.page_with(page, compatibility.table(CATALOGUE.values())) == page


each_suite = pytest.mark.parametrize("suite", CATALOGUE.values(), ids=list(CATALOGUE))


@each_suite
def test_a_suite_was_run_as_it_is_described_now(suite: Suite) -> None:
    result = json.loads(suite.results.read_text("utf-8"))
    kept = {name: result[name] for name in ("project", "version", "flask")}
    assert kept == {"project": suite.project, "version": suite.version, "flask": "3.1.3"}
    assert result["depends_on"] == extensions.depends_on(suite)
    assert result["werkzeug"] == extensions.pinned(suite, "werkzeug")
    assert [name for name in ("wsgi", "asgi") if name in result] == list(suite.transports)


@each_suite
def test_nothing_of_a_suite_that_passes_on_flask_fails(suite: Suite) -> None:
    result = json.loads(suite.results.read_text("utf-8"))
    wrong = {name: result[name]["regressions"] for name in suite.transports}
    assert wrong == dict.fromkeys(suite.transports, {})


@each_suite
def test_the_files_of_a_suite_name_no_machine_and_no_host(suite: Suite) -> None:
    text = suite.results.read_text("utf-8") + suite.pins.read_text("utf-8")
    assert re.findall(r"/(?:root|tmp|home|work|opt)/\S*", text) == []
    pins = suite.pins.read_text("utf-8").splitlines()[1:]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+!-]+", pin)] == []


SUITE_OF_AN_EXTENSION = """
import flask

def test_answers():
    app = flask.Flask("x")
    assert app.test_client().get("/").status_code == 404

def test_is_flasks_own():
    assert flask.Flask.__module__ == "flask.app"

def test_fails_on_both():
    assert flask is None
"""
several_runs = pytest.mark.timeout(180)
DEVIATION = '[[deviation]]\ntest = "tests/test_it.py::test_is_flasks_own"\nreason = "Its module."\n'


@pytest.fixture
def extension(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    """A suite whose source and environment are at hand, with its files in a temporary folder."""
    pytest.importorskip("flask", reason="the real Flask is not installed")
    tests = tmp_path / "source/tests"
    tests.mkdir(parents=True)
    (tests / "test_it.py").write_text(SUITE_OF_AN_EXTENSION)
    (tmp_path / "pins.txt").write_text("# pins\nFlask==3.1.3\nWerkzeug==3.1.5\n")
    for name, file in (("pins", "pins.txt"), ("deviations", "known.toml"), ("results", "it.json")):
        monkeypatch.setattr(Suite, name, tmp_path / file)
    monkeypatch.setenv("ERLEN_CONFORMANCE_CACHE", str(tmp_path))
    monkeypatch.setattr(extensions, "prepare", lambda suite: Path(sys.executable))
    source = tmp_path / "source"
    monkeypatch.setattr(extensions.environments, "source_of", lambda *project: source)
    suite = Suite("it", "It", "1", arguments=("-p", "no:randomly"))
    monkeypatch.setattr(extensions, "read_catalogue", lambda: {"it": suite})
    monkeypatch.setattr(extensions.compatibility, "write", lambda suites: None)
    return suite


def run_it(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    extensions.add_arguments(parser)
    return extensions.run(parser.parse_args(arguments, argparse.Namespace(verb="all")))


@several_runs
def test_a_suite_is_run_compared_and_stored(
    extension: Suite, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run_it("--transport", "both") == 1
    result = json.loads(extension.results.read_text())
    assert (result["flask"], result["werkzeug"]) == ("3.1.3", "3.1.5")
    assert result["on_flask"]["passed"] == 2
    assert list(result["on_flask"]["failed"]) == ["tests/test_it.py::test_fails_on_both"]
    for transport in extension.transports:
        assert result[transport]["passed"] == 1
        (test,) = result[transport]["regressions"]
        assert test == "tests/test_it.py::test_is_flasks_own"
    assert "0 passed, 1 failed" in capfd.readouterr().out


@several_runs
def test_a_deviation_makes_a_run_good_which_is_then_resumed(
    extension: Suite, capfd: pytest.CaptureFixture[str]
) -> None:
    extension.deviations.write_text(DEVIATION)
    assert run_it() == 0
    result = json.loads(extension.results.read_text())["wsgi"]
    assert result["deviations"] == {"tests/test_it.py::test_is_flasks_own": "Its module."}
    assert run_it("--resume") == 0
    assert "it: nothing to do" in capfd.readouterr().out


@several_runs
def test_a_listed_deviation_that_passes_makes_a_run_bad(extension: Suite) -> None:
    extension.deviations.write_text(DEVIATION.replace("is_flasks_own", "answers"))
    assert run_it("-k", "answers") == 1
    assert not extension.results.exists()


@several_runs
def test_a_run_that_is_not_recorded_leaves_no_result(extension: Suite) -> None:
    extension.deviations.write_text(DEVIATION)
    assert run_it("--no-record") == 0
    assert not extension.results.exists()


@several_runs
def test_a_suite_that_makes_no_request_cannot_have_run_over_asgi(
    extension: Suite, capfd: pytest.CaptureFixture[str]
) -> None:
    (tests,) = extension.results.parent.glob("source/tests/*.py")
    tests.write_text("import flask\n\ndef test_it(): assert flask.Flask('x')")
    assert run_it("--transport", "asgi") == 1
    assert "did not run over asgi" in capfd.readouterr().out
