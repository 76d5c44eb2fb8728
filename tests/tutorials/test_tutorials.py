"""The programs of FastAPI's tutorial answer here as they do there."""

from pathlib import Path

import pytest

from . import bodies, dependencies, forms_and_files, harness, path_and_query, responses, security  # noqa: F401

TUTORIALS = harness.TUTORIALS


@pytest.mark.parametrize("transport", ["wsgi", "asgi"])
@pytest.mark.parametrize("program", TUTORIALS, ids=lambda each: each.name)
def test_a_program_answers_as_its_twin_does(program: harness.Tutorial, transport: str) -> None:
    assert not harness.compare(program, transport)


def test_there_are_programs_for_every_chapter() -> None:
    chapters = {each.chapter for each in TUTORIALS}
    assert len(TUTORIALS) >= 40
    assert len(chapters) >= 20


def test_no_request_is_missing_and_every_difference_is_used_and_told() -> None:
    assert all(each.requests for each in TUTORIALS)
    used = {asked.differs for each in TUTORIALS for asked in each.requests if asked.differs}
    assert used == set(harness.DIFFERENCES)
    page = (Path(__file__).parents[2] / "docs" / "typed.md").read_text("utf-8")
    for name in used:
        assert f"| {name} |" in page
