"""Whether an application is set up for production, judged by its configuration and sources."""

from __future__ import annotations

import ast
import typing as t
from pathlib import Path

from .findings import Part
from .sources import parsed, sources

#: Bytes of randomness that a key for signatures should have.
ENOUGH_SECRET = 16


def check(facts: dict[str, t.Any], folder: Path) -> Part:
    """Judge the facts of an application that was loaded as in production."""
    part = Part("setup")
    config = facts["config"]
    _check_secret(part, facts["secret_key"])
    for key, told in _KEYS.items():
        for bad, kind, title in told:
            if config.get(key) == bad:
                part.add("warning", kind, title, key)
    if facts["debug"] or facts["testing"]:
        title = "debug or testing mode is on when the application is loaded"
        part.add("warning", "debug", title, "DEBUG" if facts["debug"] else "TESTING")
    if config.get("MAX_CONTENT_LENGTH") == "None":
        title = "bodies of any size are taken; 16 * 1024 * 1024 would be a limit"
        part.add("warning", "no-body-limit", title, "MAX_CONTENT_LENGTH")
    if config.get("SESSION_COOKIE_SAMESITE") == "'None'" and not _is_true(
        config.get("SESSION_COOKIE_SECURE")
    ):
        title = "browsers refuse cookies with SameSite=None that are not Secure"
        part.add("warning", "cookie-samesite", title, "SESSION_COOKIE_SAMESITE")
    for place, what, kind in _in_sources(folder):
        part.add("warning", kind, what, place)
    part.figures = {"configuration keys": len(config)}
    return part


def _is_true(text: str | None) -> bool:
    return text == "True"


_KEYS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "SESSION_COOKIE_SECURE": (
        ("False", "cookie-secure", "the session's cookie is sent over plain HTTP, too"),
    ),
    "SESSION_COOKIE_HTTPONLY": (
        ("False", "cookie-httponly", "scripts in a page can read the session's cookie"),
    ),
    "SESSION_COOKIE_SAMESITE": (
        ("None", "cookie-samesite", "the session's cookie comes with other sites' posts: 'Lax'"),
    ),
    "TRUSTED_HOSTS": (
        ("None", "any-host", "any Host header is believed; name the hosts that are yours"),
    ),
    "MAX_FORM_MEMORY_SIZE": (("None", "no-form-limit", "a form may take any amount of memory"),),
    "MAX_FORM_PARTS": (("None", "no-form-limit", "a form may have any number of parts"),),
    "TRAP_BAD_REQUEST_ERRORS": (
        ("True", "traps", "bad requests are exceptions, which are answered with 500"),
    ),
    "EXPLAIN_TEMPLATE_LOADING": (
        ("True", "template-log", "each loading of a template is explained in the log"),
    ),
    "TEMPLATES_AUTO_RELOAD": (
        ("True", "template-reload", "templates are looked for on the disk at each use"),
    ),
    "WTF_CSRF_ENABLED": (("False", "csrf", "forms are not protected from other sites"),),
    "SQLALCHEMY_ECHO": (("True", "sql-log", "each SQL statement is written to the log"),),
}


def _check_secret(part: Part, secret: dict[str, t.Any]) -> None:
    where = "SECRET_KEY"
    if not secret["is_set"]:
        part.add("warning", "no-secret", "there is no key: sessions cannot be used", where)
    elif secret["well_known"]:
        part.add("warning", "known-secret", "the key is one that everybody knows", where)
    elif secret["length"] < ENOUGH_SECRET or secret["letters"] < ENOUGH_SECRET // 2:
        title = f"the key is {secret['length']} bytes long; secrets.token_hex() makes one of 64"
        part.add("warning", "short-secret", title, where)


def _in_sources(folder: Path) -> t.Iterator[tuple[str, str, str]]:
    """Places where the sources turn debugging on or hold a key, with what is wrong there."""
    for path in sources(folder):
        relative = path.relative_to(folder)
        if any(part in ("tests", "test") for part in relative.parts):
            continue
        tree = parsed(path)
        for node in ast.walk(tree) if tree is not None else ():
            for what, kind in _wrong_with(node):
                yield f"{relative}:{getattr(node, 'lineno', 1)}", what, kind


def _wrong_with(node: ast.AST) -> t.Iterator[tuple[str, str]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr == "run" and any(
            word.arg == "debug" and isinstance(word.value, ast.Constant) and word.value.value
            for word in node.keywords
        ):
            yield "the debugger is turned on: who reaches the page can run code", "debug-in-source"
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
        held = isinstance(node.value.value, (str, bytes)) and node.value.value
        if held and any(_is_secret(target) for target in node.targets):
            yield "a key for signatures is in the source", "secret-in-source"


def _is_secret(target: ast.expr) -> bool:
    if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
        return target.slice.value == "SECRET_KEY"
    if isinstance(target, ast.Attribute):
        return target.attr in ("secret_key", "SECRET_KEY")
    return isinstance(target, ast.Name) and target.id == "SECRET_KEY"
