"""What Erlen reads of Werkzeug's private names, all of it in this place."""

from __future__ import annotations

import typing as t

from werkzeug.datastructures import Headers

if t.TYPE_CHECKING:
    from werkzeug._reloader import ReloaderLoop
    from werkzeug.routing import Map, Rule
    from werkzeug.routing.matcher import State


def headers_of(pairs: list[tuple[str, str]]) -> Headers:
    """Headers of pairs that are known to be clean. PERF: the constructor checks each."""
    headers = Headers.__new__(Headers)
    headers._list = pairs
    return headers


def pairs_of(headers: Headers) -> list[tuple[str, str]]:
    """A new list of the headers. PERF: as `to_wsgi_list`, without an iterator in Python."""
    return headers._list[:]


def root_state(url_map: Map) -> State:
    """Where the map's state machine starts; `url_map.update()` must have been called."""
    return url_map._matcher._root


def rules_of(url_map: Map) -> list[Rule]:
    """All rules of the map."""
    return url_map._rules


def is_outdated(url_map: Map) -> bool:
    """Whether rules were added since the map was last updated."""
    return url_map._remap


def converters_of(rule: Rule) -> dict[str, t.Any]:
    """The rule's converters by the names of its variables, in order."""
    return rule._converters


def make_reloader(kind: str, **options: t.Any) -> ReloaderLoop:
    """What watches the files: entered, it knows them; its `run` exits with 3 when one changes."""
    from werkzeug._reloader import ensure_echo_on, reloader_loops

    ensure_echo_on()  # a debugger in the terminal may have left it off
    return reloader_loops[kind](**options)
