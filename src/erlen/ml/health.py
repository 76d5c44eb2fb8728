"""Routes that tell an orchestrator how the process is: alive, and ready for requests."""

from __future__ import annotations

import typing as t

from .life import READY

if t.TYPE_CHECKING:
    from .registry import Serving

ALIVE, IS_READY = "/healthz", "/readyz"


def add_health(serving: Serving, alive: str | None = ALIVE, ready: str | None = IS_READY) -> None:
    """Add the routes that the application does not have itself.

    :param alive: 200 while the process answers at all
    :param ready: 200 when all models are loaded and warm, else 503, also while serving ends
    """
    app = serving.app
    taken = {rule.rule for rule in app.url_map.iter_rules()}

    def healthz(**_: str) -> t.Any:
        return {"status": "alive"}

    def readyz(**_: str) -> t.Any:
        states = {each.definition.name: each.model.state for each in serving.served}
        if serving.is_stopping:
            status = "stopping"
        elif all(state == READY for state in states.values()):
            status = "ready"
        else:
            status = "loading"
        code = 200 if status == "ready" else 503
        return {"status": status, "models": states}, code, {"Cache-Control": "no-store"}

    views: dict[str | None, t.Any] = {alive: healthz, ready: readyz}
    serving.health = tuple(path for path in views if path is not None)
    for path, view in views.items():
        if path is not None and path not in taken:
            for where in _everywhere(app):
                # On the event loop: the threads may all have something to do.
                options = {"inline": True, "hidden": True, **where}
                app.add_url_rule(path, f"erlen_{view.__name__}", view, **options)


def _everywhere(app: t.Any) -> list[dict[str, str]]:
    """Options of routes for every host: who looks after a process asks by its address."""
    if app.url_map.host_matching:
        return [{"host": "<erlen_host>"}]
    return [{}, {"subdomain": "<erlen_host>"}] if app.subdomain_matching else [{}]
