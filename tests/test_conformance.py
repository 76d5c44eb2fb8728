"""The conformance run: reports read, runs compared, likeness measured, types checked."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance import originality, typing_suite
from conformance.results import (
    FAILED,
    PASSED,
    SKIPPED,
    Comparison,
    Deviation,
    Outcome,
    compare,
    read_deviations,
    read_junit,
)

JUNIT = """<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="pytest">
<testcase classname="tests.test_basic" name="test_good[a-b]" time="0.1" />
<testcase classname="tests.test_json_tag.TestTags" name="test_bad" time="0.1">
<failure message="assert 1 == 2">the whole story</failure></testcase>
<testcase classname="tests.test_basic" name="test_left" time="0.1">
<skipped message="no greenlet" type="pytest.skip" /></testcase>
<testcase classname="" name="tests.test_broken" time="0.0">
<error message="collection failure">ImportError</error></testcase>
<testcase classname="tests.test_basic" name="test_leaks" time="0.1" />
<testcase classname="tests.test_basic" name="test_leaks" time="0.1">
<error message="teardown">leak</error></testcase>
</testsuite></testsuites>
"""


def compared(
    oracle: dict[str, str], ours: dict[str, str], *known: str, whole: bool = True
) -> Comparison:
    """Compare runs that are given as ``{test: status}``."""
    left, right = ({t: Outcome(s) for t, s in run.items()} for run in (oracle, ours))
    return compare(left, right, [Deviation(test, "its name") for test in known], whole=whole)


def test_a_report_is_read_with_the_worst_of_each_test(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(JUNIT)
    outcomes = read_junit(report)
    assert {test: outcome.status for test, outcome in outcomes.items()} == {
        "test_basic::test_good[a-b]": PASSED,
        "test_json_tag.TestTags::test_bad": FAILED,
        "test_basic::test_left": SKIPPED,
        "tests.test_broken": FAILED,
        "test_basic::test_leaks": FAILED,
    }
    assert outcomes["test_json_tag.TestTags::test_bad"].message.startswith("assert 1 == 2")


def test_equal_runs_have_nothing_wrong() -> None:
    result = compared({"a": PASSED, "b": PASSED}, {"a": PASSED, "b": PASSED})
    assert (result.passed, result.wrong, result.deviating) == (["a", "b"], {}, [])


@pytest.mark.parametrize("status", [FAILED, SKIPPED])
def test_what_only_the_real_flask_passes_is_wrong(status: str) -> None:
    assert list(compared({"a": PASSED}, {"a": status}).wrong) == ["a"]


def test_what_did_not_run_is_wrong_unless_tests_were_selected() -> None:
    assert list(compared({"a": PASSED}, {}).wrong) == ["a"]
    assert not compared({"a": PASSED}, {}, whole=False).wrong


def test_a_listed_failure_is_a_deviation() -> None:
    result = compared({"a": PASSED}, {"a": FAILED}, "a")
    assert ([deviation.test for deviation in result.deviating], result.wrong) == (["a"], {})


@pytest.mark.parametrize(
    ("oracle", "ours"),
    [
        pytest.param({"a": PASSED}, {"a": PASSED}, id="passes"),
        pytest.param({}, {}, id="no such test"),
    ],
)
def test_a_listed_deviation_that_is_none_is_wrong(
    oracle: dict[str, str], ours: dict[str, str]
) -> None:
    assert list(compared(oracle, ours, "a").wrong) == ["a"]


def test_what_the_real_flask_does_not_pass_is_not_counted() -> None:
    result = compared({"a": SKIPPED, "b": FAILED}, {"a": SKIPPED, "b": PASSED})
    assert (result.uncounted, result.passed, result.wrong) == (["a", "b"], [], {})


def test_a_test_that_the_real_flask_does_not_have_is_wrong() -> None:
    assert list(compared({}, {"a": PASSED}).wrong) == ["a"]


def test_a_deviation_needs_a_reason(tmp_path: Path) -> None:
    listed = tmp_path / "deviations.toml"
    listed.write_text('[[deviation]]\ntest = "a"\nreason = " "\n')
    with pytest.raises(ValueError, match="no reason given for a"):
        read_deviations(listed)


def test_several_tests_can_deviate_for_one_reason(tmp_path: Path) -> None:
    listed = tmp_path / "deviations.toml"
    listed.write_text('[[deviation]]\ntests = ["a", "b"]\ntransport = "asgi"\nreason = "Both."\n')
    both = [Deviation(test, "Both.", "asgi") for test in ("a", "b")]
    assert both == read_deviations(listed)


def test_the_list_of_deviations_can_be_read() -> None:
    assert all(deviation.reason for deviation in read_deviations())


ORIGINAL = '''
def total(prices, rate):
    """Sum up."""
    result = 0
    for price in prices:
        if price < 0:
            raise ValueError(price)
        result += price * rate
    return result
'''
RENAMED = ORIGINAL.replace("total", "sum_up").replace('"""Sum up."""', '"""Another sentence."""')
OTHER = """
def total(prices, rate):
    bad = [p for p in prices if p < 0]
    if bad:
        raise ValueError(bad[0])
    subtotal = sum(prices)
    return subtotal * rate
"""


@pytest.mark.parametrize(
    ("theirs", "alike"),
    [
        pytest.param(ORIGINAL, True, id="copied"),
        pytest.param(RENAMED, True, id="copied and renamed"),
        pytest.param(OTHER, False, id="written anew"),
    ],
)
def test_a_copied_body_reads_alike(tmp_path: Path, theirs: str, alike: bool) -> None:
    for name, text in (("ours", ORIGINAL), ("theirs", theirs)):
        package = tmp_path / name
        package.mkdir()
        (package / "module.py").write_text(text)
    (ours,) = originality.functions_of(tmp_path / "ours")
    assert "Sum up" not in ours.body
    found = originality.most_alike(ours, originality.functions_of(tmp_path / "theirs"))
    assert (found is not None) is alike


@pytest.mark.parametrize("checker", typing_suite.CHECKERS)
def test_a_type_checker_sees_erlens_types(tmp_path: Path, checker: str) -> None:
    pytest.importorskip(checker, reason=f"{checker} is not installed")
    source = tmp_path / "source"
    source.mkdir()
    (source / "wrong.py").write_text("from flask import Flask\n\nname: int = Flask('x').name\n")
    (copy,) = typing_suite.copy_for_erlen(source, tmp_path)
    assert "from erlen import Flask" in copy.read_text()
    assert '"str"' in typing_suite.check(checker, [copy])
