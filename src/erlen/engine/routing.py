"""The compiled matcher over Werkzeug's `Map`.

`Map` stays the source of truth and builds the URLs. `compile_matcher` reads its state machine
once and answers the common hit: a static path by one look-up, a dynamic one by the literal
segments in front of its first variable and one regular expression. It answers only where it can
be certain, also that no rule has such a path; `None` means that `MapAdapter.match` must decide
(405, redirects, hosts, subdomains, WebSockets, custom converters, paths that are not ASCII), so
that errors are Werkzeug's.
"""

from __future__ import annotations

import re
import typing as t

from werkzeug.routing import (
    AnyConverter,
    FloatConverter,
    IntegerConverter,
    PathConverter,
    Rule,
    UnicodeConverter,
    UUIDConverter,
)
from werkzeug.routing import Map as _Map

from .internals import converters_of, root_state, rules_of

if t.TYPE_CHECKING:
    from werkzeug.routing.matcher import State

__all__ = ["MISSING", "Entry", "Map", "Matcher", "Rule", "compile_matcher"]


class Map(_Map):
    """Werkzeug's `Map`, which counts its changes in `version` and tells of them."""

    version = 0
    #: Called after each change, in addition to being counted.
    listeners: tuple[t.Callable[[], None], ...] = ()

    def __setattr__(self, name: str, value: t.Any) -> None:
        object.__setattr__(self, name, value)
        if name not in {"version", "listeners", "_remap"}:
            self._tell()

    def add(self, rulefactory: t.Any) -> None:
        """Add a rule or a factory of rules; see Werkzeug."""
        super().add(rulefactory)
        self._tell()

    def _tell(self) -> None:
        self.version += 1
        for listener in self.listeners:
            listener()


class Entry:
    """A rule that the matcher can answer, with its variables and what converts each."""

    __slots__ = ("index", "methods", "rule", "variables")

    def __init__(self, rule: Rule, index: int) -> None:
        self.rule = rule
        self.index = index
        self.methods: t.Collection[str] | None = rule.methods
        self.variables = [(name, _conversion(c)) for name, c in converters_of(rule).items()]


Value = t.Any
Hit = tuple[Entry, dict[str, Value]]
#: The answer where no rule has a path of this form, for any method.
MISSING: t.Final = False
Convert = t.Callable[[str], Value]
Fits = t.Callable[[str], "re.Match[str] | None"]
Read = t.Callable[["re.Match[str]"], dict[str, Value]]
# An entry, and what makes its values. `None` says: a path of this form is for Werkzeug to decide.
Candidate = tuple["Entry | None", Read]
# What fits the ways of a method, whose each they are by `lastindex`, what fits other methods'.
Choice = tuple[Fits, "dict[int | None, Candidate]", Fits]
# Literal segments lead to a narrower node; the key `None` is for every other segment.
Node = t.Union[dict["str | None", t.Any], "Leaf"]

_KNOWN = (
    UnicodeConverter,
    PathConverter,
    IntegerConverter,
    FloatConverter,
    UUIDConverter,
    AnyConverter,
)
_GROUP = re.compile(r"\(\?P<__werkzeug_\d+>")
_ANYTHING = ".*"
_UNDECIDED: Candidate = (None, lambda match: {})
_fits_nothing: Fits = re.compile("(?!)").fullmatch
_FEW = 2


def _conversion(converter: t.Any) -> Convert | None:
    """What the converter does to a matched piece; `None` if nothing."""
    kind = type(converter)
    if kind in (UnicodeConverter, PathConverter, AnyConverter):
        return None
    if kind is IntegerConverter and (
        not converter.fixed_digits and converter.min is None and converter.max is None
    ):
        return int
    return converter.to_python  # type: ignore[no-any-return]


def _reader(variables: list[tuple[str, Convert | None]], group: int) -> Read:
    """What makes the values, from the group of this number on; ValueError where a converter
    refuses. PERF: by the number of the variables."""
    if len(variables) == 1:
        ((name, to),) = variables
        if to is None:
            return lambda match: {name: match[group]}
        return lambda match: {name: to(match[group])}
    if len(variables) == 2:
        (first, to_first), (second, to_second) = variables
        behind = group + 1

        def two(match: re.Match[str]) -> dict[str, Value]:
            return {
                first: match[group] if to_first is None else to_first(match[group]),
                second: match[behind] if to_second is None else to_second(match[behind]),
            }

        return two

    def any_number(match: re.Match[str]) -> dict[str, Value]:
        return {
            name: match[number] if to is None else to(match[number])
            for number, (name, to) in enumerate(variables, group)
        }

    return any_number


class _Path(t.NamedTuple):
    """A way through the state machine: what each segment must be, and where it ends."""

    segments: tuple[str | None, ...]  # literal text, or None where a variable stands
    pattern: str
    groups: int
    rule: Rule | None  # None: Werkzeug must decide


def _ways(
    state: State, segments: tuple[str | None, ...], pattern: str, groups: int
) -> t.Iterator[_Path]:
    """All ways from a state, in the order in which Werkzeug's depth-first search tries them."""
    for rule in state.rules:
        yield _Path(segments, pattern, groups, rule)
    closing = state.static.get("")
    if closing is not None:
        for _ in closing.rules:  # a slash is missing: redirect, or a match that ignores it
            yield _Path(segments, pattern, groups, None)
            break
    for text, following in state.static.items():
        yield from _ways(following, (*segments, text), f"{pattern}/{re.escape(text)}", groups)
    for part, following in state.dynamic:
        literal, variables = _GROUP.subn("(", part.content.removesuffix(r"\Z"))
        if variables > 1 and not part.final:
            # As Werkzeug, which matches segment by segment: what was found in a look-ahead is not
            # tried in other ways, of which there are many, when the rest of the path does not fit.
            literal = rf"(?={literal}(?:/|\Z))[^/]+"
        if part.suffixed or not _is_plain(following, part.final):
            yield _Path((*segments, None), f"{pattern}/{_ANYTHING}", groups, None)
        else:
            longer = f"{pattern}/{literal}"
            yield from _ways(following, (*segments, None), longer, groups + variables)
    if any(not rule.strict_slashes for rule in state.rules):
        yield _Path((*segments, ""), f"{pattern}/", groups, None)


def _is_plain(state: State, final: bool) -> bool:
    """Whether all rules below use converters whose expressions can be joined to one."""
    for rule in state.rules:
        for converter in converters_of(rule).values():
            if type(converter) not in _KNOWN or "(" in converter.regex.replace("(?:", ""):
                return False
            if "/" in converter.regex.replace("[^/]", "") and not final:
                return False
        if len(converters_of(rule)) > 10:  # Werkzeug sorts its groups by name, as text
            return False
    below = [*state.static.values(), *(following for _, following in state.dynamic)]
    return all(_is_plain(following, final) for following in below)


class Leaf:
    """Ways that are tried in their order: those of a method by one expression."""

    __slots__ = ("_ways", "for_method")

    def __init__(self, ways: list[tuple[_Path, Entry | None]]) -> None:
        self._ways = ways
        #: What was made by `made_for`, by method.
        self.for_method: dict[str, Choice] = {}

    def prepare(self) -> None:
        """Compile the ways of every method that one of them has."""
        for _, entry in self._ways:
            for method in (entry and entry.methods) or ():
                if method not in self.for_method:
                    self.made_for(method)

    def made_for(self, method: str) -> Choice:
        """Compile the ways of a method.

        Each ends with an empty group, whose number says which way was gone (`Match.lastindex`).
        """
        candidates: dict[int | None, Candidate] = {}
        patterns = []
        others = []
        marker = 0
        for way, entry in self._ways:
            if entry is None:
                marker += way.groups + 1
                candidates[marker] = _UNDECIDED
                patterns.append(f"(?s:{way.pattern})()")
            elif entry.methods is None or method in entry.methods:
                read = _reader(entry.variables, marker + 1)
                marker += way.groups + 1
                candidates[marker] = (entry, read)
                patterns.append(f"{way.pattern}()")
            else:
                others.append(way.pattern)
        made = self.for_method[method] = (_joined(patterns), candidates, _joined(others))
        return made


def _joined(patterns: list[str]) -> Fits:
    return re.compile("|".join(patterns)).fullmatch if patterns else _fits_nothing


def _leaves(node: Node) -> t.Iterator[Leaf]:
    if isinstance(node, Leaf):
        yield node
    else:
        for below in node.values():
            yield from _leaves(below)


class Matcher:
    """Answers `find(method, path)` for the rules of one version of a map."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        #: By method and path: the entry, or `False` where Werkzeug must decide. Every method that
        #: a rule has is here; others are for Werkzeug.
        self.static: dict[str, dict[str, Entry | t.Literal[False]]] = {}
        self.tree: Node = Leaf([])

    def prepare(self) -> None:
        """Compile every expression now, rather than the first time that it is needed."""
        for leaf in _leaves(self.tree):
            leaf.prepare()

    def find(self, method: str, path: str) -> Hit | t.Literal[False] | None:
        """The entry and fresh values for a path, `MISSING` where no rule has such a path, or
        `None` where Werkzeug must decide."""
        try:
            paths = self.static[method]
        except KeyError:
            return None
        found = paths.get(path)
        if found:
            return found, {}
        if found is False or "//" in path or not path.isascii():
            return None
        node: t.Any = self.tree
        start = 1
        while node.__class__ is dict:
            end = path.find("/", start)
            if end < 0:
                node = node.get(path[start:]) or node[None]
                start = len(path) + 1
            else:
                node = node.get(path[start:end]) or node[None]
                start = end + 1
        try:
            fits, candidates, fits_others = node.for_method[method]
        except KeyError:
            fits, candidates, fits_others = node.made_for(method)
        match = fits(path)
        if match is None:
            return MISSING if path[0] == "/" and fits_others(path) is None else None
        entry, read = candidates[match.lastindex]
        if entry is None:
            return None
        try:
            return entry, read(match)
        except ValueError:  # ValidationError too
            return None


def _node(ways: list[_Path], entries: dict[int, Entry], depth: int) -> Node:
    """Sort ways by their literal segment at a depth until few are left to try one by one."""
    literals = {w.segments[depth] for w in ways if depth < len(w.segments)} - {None}
    if len(ways) <= _FEW or not literals or depth > 8:
        return Leaf([(way, entries.get(id(way.rule))) for way in ways])

    def fits(way: _Path, literal: str | None) -> bool:
        if depth >= len(way.segments):  # ends before, or its last variable takes the rest
            return True
        return way.segments[depth] is None or way.segments[depth] == literal

    grown: dict[str | None, t.Any] = {
        literal: _node([w for w in ways if fits(w, literal)], entries, depth + 1)
        for literal in literals
    }
    grown[None] = _node([w for w in ways if fits(w, None)], entries, depth + 1)
    return grown


def compile_matcher(url_map: Map) -> Matcher:
    """Read a map into a matcher; one that finds nothing where the map needs hosts.

    The map must not do subdomain matching (the caller knows): the default subdomain counts.
    """
    url_map.update()
    made = Matcher()
    root: State = root_state(url_map)
    domain = root.static.get(url_map.default_subdomain)
    if url_map.host_matching or root.dynamic or domain is None or domain.dynamic:
        return made
    top = domain.static.get("")
    if top is None or domain.rules:
        return made
    with_defaults = {rule.endpoint for rule in rules_of(url_map) if rule.defaults}
    entries: dict[int, Entry] = {}
    undecided: set[str] = set()
    static: list[tuple[str, Entry]] = []
    dynamic: list[_Path] = []
    for way in _ways(top, (), "", 0):
        rule = way.rule
        if rule is not None:
            if (
                rule.websocket
                or rule.redirect_to is not None
                or rule.alias
                or rule.endpoint in with_defaults
            ):
                way = way._replace(rule=None)
            elif id(rule) not in entries:
                entry = entries[id(rule)] = Entry(rule, len(made.entries))
                made.entries.append(entry)
        if None in way.segments:
            dynamic.append(way)
            continue
        if not way.segments:  # the domain alone, without a slash behind it
            continue
        path = "/" + "/".join(t.cast("tuple[str, ...]", way.segments))
        if not path.isascii():  # an environ has its bytes as latin-1: `find` leaves them alone
            continue
        if way.rule is None:
            undecided.add(path)
        elif path not in undecided:
            static.append((path, entries[id(way.rule)]))
    if made.entries:
        _fill_static(made, static, undecided)
        made.tree = _node(dynamic, entries, 0)
    return made


def _fill_static(
    made: Matcher, static: list[tuple[str, Entry]], undecided: t.Iterable[str]
) -> None:
    methods = {*_EVERY_METHOD}
    for entry in made.entries:
        methods.update(entry.rule.methods or ())
    for method in methods:
        paths = made.static[method] = dict.fromkeys(
            undecided, t.cast("Entry | t.Literal[False]", False)
        )
        for path, entry in static:
            if not paths.get(path) and (entry.methods is None or method in entry.methods):
                paths[path] = entry
            else:
                paths.setdefault(path, False)


_EVERY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
