"""The AsyncAPI document, YAML, and the command that writes documents."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("pydantic", reason="pydantic is not installed")

from describing import Item, Missing, Pet, whole
from hypothesis import given
from hypothesis import strategies as st

from erlen import Erlen, EventStream
from erlen.api.asyncapi import document as async_document
from erlen.api.yamltext import as_yaml

# AsyncAPI


def test_sockets_and_streams_are_described(app: Erlen) -> None:
    @app.websocket("/rooms/<any(red, blue):room>/<int:seat>", sends=Item, receives=Pet)
    async def chat(room: str, seat: int) -> None:
        """Talk.

        In a room.
        """

    @app.websocket("/plain")
    async def plain() -> None: ...

    @app.get("/events", sends=Missing, tags=["news"])
    def events() -> EventStream:
        raise NotImplementedError

    app.get("/other", endpoint="other")(whole)
    made = async_document(app, title="Shop", servers=["https://example.com/v1"], webhooks={})
    assert made["asyncapi"] == "3.0.0"
    assert made["info"] == {"title": "Shop", "version": "0.1.0"}
    assert made["servers"] == {
        "websocket": {"host": "example.com", "protocol": "wss", "pathname": "/v1"},
        "http": {"host": "example.com", "protocol": "https", "pathname": "/v1"},
    }
    assert sorted(made["channels"]) == ["chat", "events", "plain"]
    chat_channel = made["channels"]["chat"]
    assert chat_channel["address"] == "/rooms/{room}/{seat}"
    assert chat_channel["summary"] == "Talk."
    assert chat_channel["parameters"] == {
        "room": {"enum": ["blue", "red"]},
        "seat": {"description": "A value of type integer."},
    }
    assert chat_channel["messages"]["send"]["payload"] == {"$ref": "#/components/schemas/Item"}
    assert chat_channel["messages"]["receive"]["payload"]["discriminator"]["propertyName"] == "kind"
    assert made["channels"]["plain"]["messages"] == {
        "send": {"payload": {}},
        "receive": {"payload": {}},
    }
    stream = made["channels"]["events"]
    assert stream["messages"]["send"]["contentType"] == "text/event-stream"
    assert stream["servers"] == [{"$ref": "#/servers/http"}]
    assert stream["tags"] == [{"name": "news"}]
    assert {name: each["action"] for name, each in made["operations"].items()} == {
        "chat_send": "send",
        "chat_receive": "receive",
        "plain_send": "send",
        "plain_receive": "receive",
        "events_send": "send",
    }
    assert references(made) <= {*pointers(made)}


def references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(references(each) for each in value.values()))
    return set().union(*(references(each) for each in value)) if isinstance(value, list) else set()


def pointers(value: Any, place: str = "#") -> Any:
    yield place
    if isinstance(value, dict):
        for key, each in value.items():
            yield from pointers(each, f"{place}/{key}")


# YAML

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(value=values)
def test_yaml_says_what_json_says(value: Any) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML is not installed")
    written = as_yaml(value)
    # PyYAML reads YAML 1.1, in which "1e+16" is a text, and knows no lone surrogates.
    assert yaml.load(written, Loader=_json_floats(yaml)) == value


def _json_floats(yaml: Any) -> Any:
    class Loader(yaml.SafeLoader):  # type: ignore[misc, name-defined]
        pass

    pattern = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?$")
    Loader.add_implicit_resolver("tag:yaml.org,2002:float", pattern, [*"-0123456789"])
    return Loader


def test_yaml_is_readable() -> None:
    value = {
        "openapi": "3.1.0",
        "no": [{"a": 1, "b": []}, "x"],
        "paths": {"/a/{b}": {}},
        "l": [[1]],
    }
    assert as_yaml(value) == (
        'openapi: "3.1.0"\n'
        '"no":\n  - a: 1\n    b: []\n  - "x"\npaths:\n  "/a/{b}": {}\nl:\n  - - 1\n'
    )


# The command


def run_openapi(run_python: Any, tmp_path: Path, *options: str) -> Any:
    (tmp_path / "shop.py").write_text(
        "from pydantic import BaseModel\n"
        "from erlen import Erlen\n"
        "class Item(BaseModel):\n    name: str\n"
        "app = Erlen(__name__, static_folder=None)\n"
        "@app.post('/items')\n"
        "def add(item: Item) -> Item:\n    return item\n"
        "@app.websocket('/socket')\n"
        "async def socket(): ...\n"
    )
    return run_python("-m", "erlen", "--app", "shop", "openapi", *options)


def test_the_command_writes_the_document(run_python: Any, tmp_path: Path) -> None:
    done = run_openapi(run_python, tmp_path)
    assert done.stderr == ""
    made = json.loads(done.stdout)
    assert made["openapi"] == "3.1.0" and [*made["paths"]] == ["/items"]


def test_the_command_writes_yaml_to_a_file(run_python: Any, tmp_path: Path) -> None:
    done = run_openapi(run_python, tmp_path, "--yaml", "--output", "api.yaml")
    assert (done.stdout, done.stderr) == ("", "")
    assert (
        (tmp_path / "api.yaml").read_text().startswith('openapi: "3.1.0"\ninfo:\n  title: "shop"\n')
    )


def test_the_command_writes_what_goes_over_sockets(run_python: Any, tmp_path: Path) -> None:
    done = run_openapi(run_python, tmp_path, "--asyncapi")
    assert [*json.loads(done.stdout)["channels"]] == ["socket"]
