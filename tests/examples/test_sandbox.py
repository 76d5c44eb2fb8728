"""Templates of strangers: what they can say, and that they can do no harm."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import UndefinedError
from jinja2.sandbox import SecurityError

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient

VALUES: dict[str, Any] = {
    "name": "Ann",
    "many": list(range(100)),
    "orders": [{"items": 3, "price": 2.5}, {"items": 4, "price": 3.14159}],
}


@pytest.fixture
def renderer(examples: Path) -> ModuleType:
    import sandbox.renderer

    return sandbox.renderer


@pytest.fixture
def render(renderer: ModuleType) -> Callable[[str], str]:
    return lambda source: renderer.render(source, VALUES)


@pytest.fixture
def app(examples: Path) -> Erlen:
    from sandbox.app import app

    found: Erlen = app
    return found


@pytest.mark.parametrize(
    ("source", "output"),
    [
        ("Dear {{ name | upper }},", "Dear ANN,"),
        ("{{ name[0] }}{{ orders[1]['price'] | round(2) }}", "A3.14"),
        ("{% for o in orders %}{{ loop.index }}:{{ o.items }} {% endfor %}", "1:3 2:4 "),
        ("{% for m in many if m is divisibleby 50 %}{{ m }},{% else %}-{% endfor %}", "0,50,"),
        ("{% if many | length > 9 and name != 'Bob' %}yes{% elif x %}{% endif %}", "yes"),
        ("{{ missing | default('none') }}{{ name if false else 'x' }}", "nonex"),
        ("{{ ['a', name] | sort | join(', ') }}", "a, Ann"),
        ("{{ '<b>' }}<b>", "&lt;b&gt;<b>"),
        ("{{ orders[0].price > 2 }}", "True"),
    ],
)
def test_a_letter_can_be_worded(render: Callable[[str], str], source: str, output: str) -> None:
    assert render(source) == output


@pytest.mark.parametrize(
    "source",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ name.__class__ }}",
        "{{ name['__class__'] }}",
        "{{ name['__cla' 'ss__'] }}",
        "{{ name | attr('__class__') }}",
        "{{ [name] | map(attribute='__class__') | list }}",
        "{{ orders | sort(attribute='__class__') | first }}",
        "{{ self._TemplateReference__context }}",
        "{{ self.__init__.__globals__ }}",
        "{% for m in many %}{{ loop._iterator.gi_frame }}{% endfor %}",
        "{% for m in many %}{{ loop.changed.__func__.__globals__ }}{% endfor %}",
        "{{ cycler.__init__.__globals__.os }}",
        "{{ lipsum.__globals__ }}",
        "{{ config }}",
        "{{ request.application }}",
        "{{ url_for.__globals__ }}",
        "{{ orders.append(1) }}",
        "{{ orders[0].clear() }}",
        "{{ name.upper }}",
        "{{ self }}",
        "{{ orders }}",
    ],
)
def test_no_attribute_leads_out(renderer: ModuleType, source: str) -> None:
    with pytest.raises(renderer.Refused):
        renderer.render(source, VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "{{ '{0.__class__}'.format(name) }}",
        "{{ '{0.__class__.__init__.__globals__}'.format(orders) }}",
        "{{ '{x.__class__}'.format_map({'x': name}) }}",
        "{{ name | format }}",
        "{{ '%s' | format(name) }}",
        "{{ '%999999999d' % 1 }}",
        "{{ name.format }}",
    ],
)
def test_no_format_leads_out(renderer: ModuleType, source: str) -> None:
    with pytest.raises(renderer.Refused):
        renderer.render(source, VALUES)


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in many %}{% for b in many %}x{% endfor %}{% endfor %}",
        "{% for a in many %}" * 9 + "x" + "{% endfor %}" * 9,
        "{% for a in many if a > 0 %}" * 9 + "x" + "{% endfor %}" * 9,
        "{% for a in many recursive %}{{ loop(many) }}{% endfor %}",
        "{% for a in range(10 ** 9) %}x{% endfor %}",
        "{% for a in many %}" + "x" * 500 + "{% endfor %}",
        "{{ 'x' * 10 ** 9 }}",
        "{{ 9 ** 9 ** 9 }}",
        "{{ 1 | round(999999999, 'ceil') }}",
        "{{ 1 | round(999999999) }}",
        "{{ name | center(999999999) }}",
        "{{ name | indent(999999999) }}",
        "{{ 'aaaa' | replace('a', 'aaaa') }}",
        "{{ name | join(name | join(name)) }}",
        "{{ many | join('x' * 1000) }}",
        "{% set x = 'xxxx' %}{% set x = x ~ x %}",
        "{% macro a() %}{{ a() }}{{ a() }}{% endmacro %}{{ a() }}",
        "{% include 'editor.html' %}",
        "{% extends 'editor.html' %}",
        "{% import 'editor.html' as x %}",
        "{{ " + "(" * 1900 + "1" + ")" * 1900 + " }}",
        "{{ " + "not " * 900 + "1 }}",
        "{{ name" + "|upper" * 600 + " }}",
        "{% if 1 %}" * 180 + "{% endif %}" * 180,
        "x" * 4001,
    ],
)
@pytest.mark.timeout(5)
def test_work_and_memory_are_bounded(renderer: ModuleType, source: str) -> None:
    with pytest.raises(renderer.Refused):
        renderer.render(source, VALUES)


@pytest.mark.parametrize(
    "source",
    ["{{", "{% if %}", "{{ missing }}", "{{ 1 is divisibleby 0 }}", "{{ name < 3 }}"]
    + ["{% for x in 5 %}{% endfor %}", "{{ name | title(1, 2) }}", "{% nothing %}"],
)
def test_a_mistake_is_told_and_is_no_error_of_the_server(renderer: ModuleType, source: str) -> None:
    with pytest.raises(renderer.Refused, match=r"^(Line 1: |The template failed: )"):
        renderer.render(source, VALUES)


@pytest.mark.parametrize(
    "source",
    ["{{ ''.__class__.__mro__ }}", "{{ name.upper() }}"]
    + ["{{ '{0.__class__}'.format(name) }}", "{{ orders.append(1) }}"],
)
def test_the_first_wall_stands_without_the_others(renderer: ModuleType, source: str) -> None:
    template = renderer.ENVIRONMENT.from_string(source)
    with pytest.raises((SecurityError, UndefinedError)):
        template.render(VALUES)


def test_the_second_wall_stands_without_the_others(renderer: ModuleType) -> None:
    from jinja2 import Environment

    for source in ("{{ name.upper() }}", "{{ name | attr('x') }}", "{{ 2 ** 9 }}"):
        with pytest.raises(renderer.Refused):
            renderer.check_language(Environment().parse(source))


def test_the_values_are_not_changed(renderer: ModuleType) -> None:
    before = repr(VALUES)
    renderer.render("{% for m in many | sort %}{{ m }}{% endfor %}", VALUES)
    assert repr(VALUES) == before


def shown(page: str) -> str:
    found = re.search(r'<iframe sandbox title="The letter" srcdoc="([^"]*)">', page)
    assert found is not None
    return html.unescape(found[1])


def test_the_page_shows_the_letter_in_a_frame_without_rights(client: FlaskClient) -> None:
    answer = client.get("/")
    assert "<h1>Thank you, Ann Archer!</h1>" in shown(answer.text)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_script_in_a_template_stays_inside_the_frame(client: FlaskClient) -> None:
    source = '"></iframe><script>alert("{{ customer }}")</script>'
    answer = client.post("/", data={"source": source})
    assert shown(answer.text) == '"></iframe><script>alert("Ann Archer")</script>'
    assert "<script>" not in answer.text


def test_a_refusal_is_told_and_keeps_what_was_typed(client: FlaskClient) -> None:
    answer = client.post("/", data={"source": "</textarea>{{ customer.__class__ }}"})
    assert (answer.status_code, "not allowed" in answer.text) == (422, True)
    assert "&lt;/textarea&gt;{{ customer.__class__ }}</textarea>" in answer.text


def test_a_body_that_is_too_large_is_a_413(client: FlaskClient) -> None:
    assert client.post("/", data={"source": "x" * 64_000}).status_code == 413
