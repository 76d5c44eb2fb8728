"""What extensions and their tests do to the framework, besides calling its documented API.

Each test is the habit of some extension, in plain code and named by the behaviour.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from unittest.mock import patch

import pytest


@pytest.mark.parametrize("function", ["send_file", "send_from_directory"])
def test_files_are_sent_by_what_stands_in_werkzeug_when_called(
    framework: ModuleType, tmp_path: Path, function: str
) -> None:
    """A debug toolbar's tests replace it through the module that uses it."""
    app = framework.Flask("habits", root_path=str(tmp_path))
    arguments = {"send_file": ("a.css",), "send_from_directory": (".", "a.css")}[function]
    sent = app.response_class("stand-in", mimetype="text/css")
    target = f"{framework.__name__}.helpers.werkzeug.utils.{function}"
    with patch(target, return_value=sent) as stand_in, app.test_request_context():
        assert getattr(framework, function)(*arguments) is sent
    assert stand_in.call_args.kwargs["_root_path"] == str(tmp_path)
