"""The programs' documents are valid, and their answers are what these say."""

import json
import re
from typing import Any

import pytest

from . import bodies, dependencies, forms_and_files, harness, path_and_query, responses, security  # noqa: F401

validator = pytest.importorskip("openapi_spec_validator", reason="it is not installed")
jsonschema = pytest.importorskip("jsonschema", reason="it is not installed")


#: Statuses that views of these programs raise or return without saying so.
OF_VIEWS = {307, 400, 401, 403, 404, 418, 500}


def operation_for(document: dict[str, Any], method: str, path: str) -> Any:
    """The operation of a request; `None` for a path or method that is not described."""
    found = []
    for template, item in document["paths"].items():
        pattern = re.sub(r"\\\{\w+\\\}", "(.+)", re.escape(template))
        match = re.fullmatch(pattern, path.partition("?")[0])
        if match is not None:
            found.append((len(match.groups()), item))
    return min(found, key=lambda each: each[0])[1].get(method.lower()) if found else None


def check(document: dict[str, Any], described: Any, response: Any) -> None:
    said = described["responses"]
    if response.status_code in OF_VIEWS and str(response.status_code) not in said:
        return
    assert str(response.status_code) in said, (response.status, response.text)
    content = said[str(response.status_code)].get("content")
    if content is None or not response.data:
        return
    assert response.mimetype in content
    schema = content[response.mimetype].get("schema", {})
    if "json" in response.mimetype:
        whole = {**schema, "components": document.get("components", {})}
        jsonschema.Draft202012Validator(whole).validate(json.loads(response.data))


@pytest.mark.parametrize("program", harness.TUTORIALS, ids=lambda each: each.name)
def test_a_programs_document_is_valid_and_true(program: harness.Tutorial) -> None:
    from erlen.api.openapi import document

    app = next(each for each in program.build() if hasattr(each, "url_map"))
    made = document(app)
    validator.validate(made)
    assert made["paths"]
    client = app.test_client()
    for asked in program.requests:
        with client.open(asked.path, method=asked.method, **asked.options) as response:
            described = operation_for(made, asked.method, asked.path)
            if described is not None:
                check(made, described, response)
