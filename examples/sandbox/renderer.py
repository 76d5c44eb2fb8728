"""Run a template that a stranger wrote: Jinja's sandbox, a small language, and a bound on the work.

Three walls, each of which stands without the others:

1. Jinja's `SandboxedEnvironment` refuses what leads from a value into Python: names with
   underscores, frames, code, and the same by way of `str.format`. Here it is drawn tighter: no
   attributes at all but those of `loop`, and only texts and numbers can be shown.
2. Only a small part of Jinja's language is let in, checked in the parsed template: values, filters
   from a short list, `if` and `for`. No calls, macros, assignments, imports or arithmetic, hence
   nothing that multiplies itself, and no `"%999999999d" % 1`.
3. Loops share one allowance of turns, nesting has an end, and so has the output.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined, TemplateError, TemplateSyntaxError, nodes, pass_context
from jinja2.exceptions import SecurityError
from jinja2.runtime import Context, LoopContext, Undefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

LONGEST_SOURCE = 4_000
LONGEST_OUTPUT = 20_000
MOST_TURNS = 1_000
DEEPEST = 16

# Each makes a text at most a few times longer than what it was given.
FILTERS = [
    *("capitalize", "default", "escape", "first", "join", "last", "length", "lower", "round"),
    *("sort", "title", "trim", "upper"),
]
TESTS = ["defined", "divisibleby", "even", "in", "none", "number", "odd", "string", "undefined"]

LOOP = frozenset({"index", "index0", "revindex", "revindex0", "first", "last", "length"})

LANGUAGE = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.If,
    nodes.For,
    nodes.Name,
    nodes.Const,
    nodes.Getattr,
    nodes.Getitem,
    nodes.Filter,
    nodes.Test,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Tuple,
    nodes.List,
)

_TURNS = "turns left"  # no template can name it: it has a space


class Refused(Exception):
    """The template may not do that; the text says what, for the person who wrote it."""


class UserTemplates(ImmutableSandboxedEnvironment):
    """Jinja with the first wall and the third."""

    def __init__(self) -> None:
        super().__init__(autoescape=True, undefined=StrictUndefined, finalize=_plain)
        self.globals.clear()
        self.filters = {name: self.filters[name] for name in FILTERS}
        self.filters["join"] = _join
        self.filters["round"] = _round
        self.filters[_TURNS] = _count_turns
        self.tests = {name: self.tests[name] for name in TESTS}

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        known = isinstance(obj, LoopContext) and attr in LOOP
        return known and super().is_safe_attribute(obj, attr, value)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """`order.items` is the order's field of that name, never a dict's method."""
        if isinstance(obj, dict) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


def render(source: str, values: Mapping[str, Any]) -> str:
    """The template's output with these values: plain data only (texts, numbers, lists, dicts).

    Raises Refused for what is too long, not in the language, or not to be reached.
    """
    if len(source) > LONGEST_SOURCE:
        raise Refused(f"A template has at most {LONGEST_SOURCE} characters.")
    try:
        tree = ENVIRONMENT.parse(source)
        check_language(tree)
        template = ENVIRONMENT.from_string(count_turns(tree))
        return _limited(template.generate(**values, **{_TURNS: _Allowance(MOST_TURNS)}))
    except Refused:
        raise
    except TemplateSyntaxError as error:
        raise Refused(f"Line {error.lineno}: {error.message}") from None
    except SecurityError as error:
        raise Refused(f"That is not allowed: {error}") from None
    except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        # What a template can run into with plain data: a name that is missing, numbers with texts.
        raise Refused(f"The template failed: {error}") from None
    except RecursionError:
        raise Refused("The template is nested too deeply.") from None


def check_language(tree: nodes.Template) -> None:
    """The second wall: every node of the parsed template has to be in the language."""
    for node, depth in _nodes(tree):
        if depth > DEEPEST:
            refused = f"nothing is nested more than {DEEPEST} times"
        elif not isinstance(node, LANGUAGE):
            refused = f"{type(node).__name__} is not part of the language"
        elif isinstance(node, nodes.For) and node.recursive:
            refused = "no loop is recursive"
        elif isinstance(node, nodes.Filter) and node.name not in FILTERS:
            refused = f"there is no filter {node.name!r}"
        elif isinstance(node, nodes.Test) and node.name not in TESTS:
            refused = f"there is no test {node.name!r}"
        else:
            continue
        raise Refused(f"Line {node.lineno}: {refused} here.")


def count_turns(tree: nodes.Template) -> nodes.Template:
    """The third wall: what a loop runs over is passed through a filter that counts."""
    for loop in list(tree.find_all(nodes.For)):
        loop.iter = nodes.Filter(loop.iter, _TURNS, [], [], None, None, lineno=loop.lineno)
    return tree


def _nodes(node: nodes.Node, depth: int = 0) -> Iterator[tuple[nodes.Node, int]]:
    """The node and all below it, each after the one it is in."""
    yield node, depth
    for child in node.iter_child_nodes():
        yield from _nodes(child, depth + 1)


class _Allowance:
    """Turns that are left, shared by all loops of one rendering."""

    def __init__(self, turns: int) -> None:
        self.turns = turns

    def spend(self) -> None:
        self.turns -= 1
        if self.turns < 0:
            raise Refused(f"The loops take more than {MOST_TURNS} turns together.")


@pass_context
def _count_turns(context: Context, values: Iterable[Any]) -> Iterator[Any]:
    allowance: _Allowance = context[_TURNS]
    for value in values:
        allowance.spend()
        yield value


def _join(values: Iterable[Any], separator: str = "") -> str:
    """Join a list's items. A text is no list: joined with itself it would grow by its square."""
    if isinstance(values, str) or len(separator) > 20:
        raise Refused("'join' takes a list, and a separator of at most 20 characters.")
    return separator.join(str(value) for value in values)


def _round(value: float, precision: int = 0) -> float:
    """Round to at most six places: Jinja's own computes 10 ** precision, whatever that is."""
    if precision not in range(7):
        raise Refused("'round' takes a precision from 0 to 6.")
    return round(value, precision)


def _plain(value: Any) -> Any:
    """What is put out: a text or a number, not the look of some object inside."""
    if value is None or isinstance(value, (str, int, float, Undefined)):
        return value
    raise Refused(f"A {type(value).__name__} cannot be shown, only a text or a number.")


def _limited(parts: Iterable[str]) -> str:
    output, length = [], 0
    for part in parts:
        length += len(part)
        if length > LONGEST_OUTPUT:
            raise Refused(f"The output has more than {LONGEST_OUTPUT} characters.")
        output.append(part)
    return "".join(output)


ENVIRONMENT = UserTemplates()
