"""What the page of a predictor is made of: the calls it shows, the answers, the examples."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pydantic", reason="pydantic is not installed")
pytest.importorskip("numpy", reason="numpy is not installed")

from erlen.ml.demo.calls import Sent, curl_of, python_of
from erlen.ml.demo.inputs import size_text, texts_of
from erlen.ml.demo.outputs import MOST_BARS, MOST_ROWS, json_text, view_of

URL = "http://localhost/predict"

# No shell can pass a NUL in an argument.
words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
names = st.text(st.characters(categories=["Ll"]), min_size=1)


# Calls


@given(st.dictionaries(names, words))
def test_a_shell_reads_what_was_sent(values: dict[str, str]) -> None:
    call = curl_of(URL, [Sent(name, text) for name, text in values.items()])
    # A shell goes on after a backslash at a line's end; `shlex` does not.
    assert call.count(" \\\n  ") >= max(len(values), 1)
    parts = [part for part in shlex.split(call) if part != "\n"]
    assert (parts[0], parts[-1]) == ("curl", URL)
    given = parts[1:-1]
    if not values:
        assert given == ["-X", "POST"]
        return
    assert given[::2] == ["--form-string"] * len(values)
    assert dict(each.split("=", 1) for each in given[1::2]) == values


@given(st.dictionaries(names, words), words)
def test_so_does_python(values: dict[str, str], filename: str) -> None:
    sent = [Sent(name, text) for name, text in values.items()]
    tree = ast.parse(python_of(URL, [*sent, Sent("file", "", filename, "image/x")]))
    [call] = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Call) and ast.unparse(each.func) == "requests.post"
    ]
    assert ast.literal_eval(call.args[0]) == URL
    given: dict[Any, ast.expr] = {each.arg: each.value for each in call.keywords}
    assert (ast.literal_eval(given["data"]) if values else {}) == values
    assert isinstance(given["files"], ast.List)
    [pair] = given["files"].elts
    assert isinstance(pair, ast.Tuple)
    name, file = pair.elts
    assert isinstance(file, ast.Tuple)
    assert (ast.literal_eval(name), ast.literal_eval(file.elts[0])) == ("file", filename)


@pytest.mark.parametrize(
    ("filename", "kind", "part"),
    [
        ("a.png", "image/png", "-F picture=@a.png"),
        ("a.JPG", "image/jpeg", "-F picture=@a.JPG"),
        ("a.webp", "image/webp", "-F 'picture=@a.webp;type=image/webp'"),
        ("a", "application/octet-stream", "-F picture=@a"),
        ("two words.png", "image/png", "-F 'picture=@two words.png'"),
        ("a;type=x.png", "image/png", "-F 'picture=@\"a;type=x.png\"'"),
        ('a"b\\c.png', "image/png", '-F \'picture=@"a\\"b\\\\c.png"\''),
        ("$(rm).png", "image/png", "-F 'picture=@$(rm).png'"),
        ("it's.png", "image/png", "-F 'picture=@it'\"'\"'s.png'"),
    ],
)
def test_files_are_named_as_curl_wants_them(filename: str, kind: str, part: str) -> None:
    assert curl_of(URL, [Sent("picture", "", filename, kind)]) == f"curl {part} \\\n  {URL}"


def test_a_stream_is_read_line_by_line() -> None:
    sent = [Sent("text", "a")]
    assert curl_of(URL, sent, streams=True).startswith(
        "curl --no-buffer \\\n  --form-string text=a"
    )
    assert python_of(URL, sent, streams=True).splitlines()[-4:] == [
        "    stream=True,",
        ")",
        "for line in answer.iter_lines():",
        "    print(line.decode())",
    ]


def test_values_of_one_name_are_all_sent() -> None:
    sent = [Sent("tag", "new"), Sent("tag", "old"), Sent("n", "1")]
    assert "data={'tag': ['new', 'old'], 'n': '1'}" in python_of(URL, sent)
    assert curl_of(URL, sent).count("--form-string tag=") == 2


def test_a_long_call_has_a_line_for_each_value() -> None:
    sent = [Sent("text", "a" * 80), Sent("n", "1"), Sent("f", "", "a.png", "image/png")]
    assert python_of(URL, sent).splitlines() == [
        "import requests",
        "",
        "answer = requests.post(",
        f"    '{URL}',",
        "    data={",
        f"        'text': '{'a' * 80}',",
        "        'n': '1',",
        "    },",
        "    files=[('f', open('a.png', 'rb'))],",
        ")",
        "print(answer.json())",
    ]


def test_a_value_that_curl_would_take_for_a_file_is_none() -> None:
    call = curl_of(URL, [Sent("text", "@/etc/passwd"), Sent("more", "<x;type=y")])
    assert "--form-string text=@/etc/passwd" in call
    assert "--form-string 'more=<x;type=y'" in call


# Answers


def test_a_label_has_its_probabilities_as_bars() -> None:
    scores = {"cat": 0.25, "dog": 0.5, "<b>": 0.125}
    view = view_of("label", {"label": "dog", "score": 0.5, "scores": scores})
    assert (view.template, view.best, view.more) == ("label", "dog", 0)
    assert [(bar.label, bar.share, bar.width) for bar in view.bars] == [
        ("dog", "50.0 %", "50.0"),
        ("cat", "25.0 %", "25.0"),
        ("<b>", "12.5 %", "12.5"),
    ]


@pytest.mark.parametrize(
    ("score", "width"), [(1.5, "100.0"), (-1, "0.0"), (1e-9, "0.0"), (True, "100.0")]
)
def test_a_bar_stays_within_its_bounds(score: float, width: str) -> None:
    view = view_of("label", {"label": "a", "score": score, "scores": {"a": score}})
    assert [bar.width for bar in view.bars] == [width]


def test_scores_that_are_no_numbers_have_no_bars() -> None:
    view = view_of("label", {"label": "a", "scores": {"a": None, "b": "x"}})
    assert (view.best, view.bars) == ("a", [])


def test_only_the_most_probable_are_shown() -> None:
    scores = {str(number): number / 1000 for number in range(1000)}
    view = view_of("label", {"label": "999", "score": 0.999, "scores": scores})
    assert (len(view.bars), view.bars[0].label) == (MOST_BARS, "999")
    assert view.more == 1000 - MOST_BARS


@pytest.mark.parametrize(
    ("kind", "url", "template"),
    [
        ("image", "data:image/png;base64,AAAA", "image"),
        ("image", "data:image/svg+xml;base64,AAAA", "file"),
        ("image", "data:text/html;base64,AAAA", "file"),
        ("audio", "data:audio/wav;base64,AAAA", "audio"),
        ("audio", "data:text/html;base64,AAAA", "file"),
        ("file", "data:text/plain;base64,AAAA", "file"),
        ("image", "javascript:alert(1)", "text"),
        ("image", "https://elsewhere.example/a.png", "text"),
        ("file", "data:text/html,<script>", "text"),
        ("image", None, "json"),
    ],
)
def test_a_file_is_shown_only_as_what_it_is(kind: str, url: Any, template: str) -> None:
    view = view_of(kind, url, "Out come")
    assert view.template == template
    assert view.url == (url if template in ("image", "audio", "file") else "")


@pytest.mark.parametrize(
    "value",
    [
        [{"name": "bee", "size": 1.5}, {"name": "hen", "size": 40}],
        {"columns": ["name", "size"], "rows": [["bee", 1.5], ["hen", 40]]},
    ],
    ids=["objects", "columns"],
)
def test_a_table_aligns_its_numbers(value: Any) -> None:
    view = view_of("table", value)
    assert [(each.text, each.is_number) for each in view.columns] == [
        ("name", False),
        ("size", True),
    ]
    assert [[each.text for each in row] for row in view.rows] == [["bee", "1.5"], ["hen", "40"]]


def test_a_long_table_is_cut() -> None:
    view = view_of("table", [{"n": number} for number in range(1000)])
    assert (len(view.rows), view.more) == (MOST_ROWS, 1000 - MOST_ROWS)


@pytest.mark.parametrize(
    ("kind", "value", "template", "text"),
    [
        ("text", "a\nb", "text", "a\nb"),
        ("text", ["a", "b"], "text", "ab"),
        ("number", 1 / 3, "number", "0.333333"),
        ("number", 12345678, "number", "12345678"),
        ("boolean", True, "json", "true"),
        ("label", "odd", "text", "odd"),
        ("table", 3, "number", "3"),
        ("array", [[1, 2]], "json", "[[1, 2]]"),
        ("json", None, "json", "null"),
        ("json", {"a": "é"}, "json", '{"a": "é"}'),
    ],
)
def test_what_is_not_of_its_kind_is_shown_as_what_it_is(
    kind: str, value: Any, template: str, text: str
) -> None:
    view = view_of(kind, value)
    assert (view.template, view.text) == (template, text)


def test_long_texts_are_cut_in_json() -> None:
    text = json_text({"image": "data:" + "A" * 10_000, "n": [1]})
    assert len(text) < 200
    assert json.loads(text)["image"].endswith("… (10005 characters)")


# Inputs


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (None, ()),
        ("", ("",)),
        ("a", ("a",)),
        (0.5, ("0.5",)),
        (True, ("true",)),
        (["a", "b"], ("a", "b")),
        ([1, 2], ("[1, 2]",)),
        ({"a": 1}, ('{"a": 1}',)),
    ],
)
def test_values_are_texts_in_a_form(value: Any, texts: tuple[str, ...]) -> None:
    assert texts_of(value) == texts


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (8_000_000, "8 MB"), (1500, "1.5 kB")],
)
def test_sizes_are_for_people(count: int, text: str) -> None:
    assert size_text(count) == text
