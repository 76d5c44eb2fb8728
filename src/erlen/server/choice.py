"""Which interface an application is served on: ASGI where it has what WSGI cannot give it."""

from __future__ import annotations

import typing as t

from ..engine.placement import awaits
from ..mounts import ASGI, BOTH

if t.TYPE_CHECKING:
    from ..app import Erlen

_MOST_NAMES = 3


def reasons_for_asgi(app: Erlen) -> list[str]:
    """What of an application is for ASGI, in words; nothing where WSGI serves it as well.

    Functions around serving, hooks and error handlers do not count: coroutine functions among
    these run under WSGI too, on a loop beside.
    """
    socket_rules = [rule for rule in app.url_map.iter_rules() if rule.websocket]
    of_sockets = {rule.endpoint for rule in socket_rules}
    views = [
        endpoint
        for endpoint, view in app.view_functions.items()
        if endpoint not in of_sockets and awaits(view)
    ]
    mounts = [mount.path for mount in app.mounts if _is_for_asgi(mount)]
    reasons = [
        _listed(kind, names)
        for kind, names in (
            ("async views", views),
            ("WebSockets", [rule.rule for rule in socket_rules]),
            ("mounted ASGI applications", mounts),
        )
        if names
    ]
    # Middleware around `wsgi_app` that upgrades to WebSockets; over WSGI it could only poll.
    if "socketio" in app.extensions:
        reasons.append("Socket.IO")
    if "asgi_app" in vars(app):
        reasons.append("ASGI middleware")
    return reasons


def said(interface: str, reasons: list[str]) -> str:
    """The choice as a line for the terminal."""
    if interface == ASGI:
        return f"Serving over ASGI, for the application has {' and '.join(reasons)}."
    return "Serving over WSGI: the application has no async views, WebSockets or ASGI mounts."


def _is_for_asgi(mount: t.Any) -> bool:
    if mount.interface == BOTH:
        return bool(reasons_for_asgi(mount.app))
    return bool(mount.interface == ASGI)


def _listed(kind: str, names: list[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    return f"{kind} ({shown}{', ...' if len(names) > _MOST_NAMES else ''})"
