"""What an application is before any request: configuration, rules, names for templates."""

from __future__ import annotations

import typing as t

from .load import name_of

#: Keys whose values are never written down, by what their names contain.
SECRET = ("SECRET", "PASSWORD", "PASSWD", "TOKEN", "KEY", "DSN", "CREDENTIAL", "URI", "URL")
#: Values that people put for a secret and leave there.
WELL_KNOWN = {"dev", "development", "secret", "changeme", "change-me", "change me", "password"}


def facts_of(app: t.Any) -> dict[str, t.Any]:
    """Plain data that is to be equal on both engines, and what the set-up is judged by."""
    environment = app.jinja_env
    return {
        "config": {str(key): _shown(str(key), value) for key, value in app.config.items()},
        "secret_key": _secret(app.config.get("SECRET_KEY")),
        "rules": [_rule(rule) for rule in app.url_map.iter_rules()],
        "blueprints": sorted(app.blueprints),
        "extensions": sorted(map(str, app.extensions)),
        "commands": sorted(app.cli.commands),
        "filters": sorted(environment.filters),
        "tests": sorted(environment.tests),
        "globals": sorted(environment.globals),
        "hooks": _hooks(app),
        "debug": bool(app.debug),
        "testing": bool(app.testing),
        "wsgi_app": name_of(app.wsgi_app),
        "name": app.name,
        "static": [app.static_url_path, bool(app.has_static_folder)],
    }


def _shown(key: str, value: t.Any) -> str:
    if any(word in key.upper() for word in SECRET) and isinstance(value, (str, bytes)):
        return f"<{type(value).__name__}, {len(value)} long>"
    if isinstance(value, (set, frozenset)):
        return repr(sorted(value, key=repr))
    text = repr(value)
    # An address says nothing, and is another one in each process.
    return type(value).__qualname__ if " at 0x" in text else text


def _secret(key: t.Any) -> dict[str, t.Any]:
    if not key:
        return {"is_set": False}
    raw = key.encode() if isinstance(key, str) else bytes(key)
    lowered = raw.decode("utf-8", "replace").lower()
    return {
        "is_set": True,
        "length": len(raw),
        "letters": len(set(raw)),
        "well_known": lowered in WELL_KNOWN or "change" in lowered and "me" in lowered,
    }


def _rule(rule: t.Any) -> dict[str, t.Any]:
    return {
        "rule": rule.rule,
        "endpoint": rule.endpoint,
        "methods": sorted(rule.methods or ()),
        "defaults": repr(dict(rule.defaults or {})),
        "subdomain": rule.subdomain,
        "host": rule.host,
        "strict_slashes": rule.strict_slashes,
        "converters": {
            name: type(converter).__name__ for name, converter in rule._converters.items()
        },
    }


def _hooks(app: t.Any) -> dict[str, list[str]]:
    from .watch import BY_BLUEPRINT

    found: dict[str, list[str]] = {}
    for kind, registry in BY_BLUEPRINT:
        for blueprint, functions in getattr(app, registry).items():
            names = [name_of(f) for f in functions]
            names = [name for name in names if name.partition(".")[0] not in ("flask", "erlen")]
            if names:
                found[f"{kind} of {blueprint or 'the application'}"] = names
    return found
