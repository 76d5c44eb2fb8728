"""Around the serving of requests: start and end, background tasks, mounted applications, docs.

The part of the application that registers and asks; `lifespan`, `background`, `mounts` and
`api.docs` do it, and are imported when there is something to do.
"""

from __future__ import annotations

import typing as t
from importlib import import_module

from .paths import caller_place
from .scaffold import Scaffold, setupmethod

if t.TYPE_CHECKING:
    import collections.abc as cabc

    from .engine.plan import Program
    from .lifespan import Life
    from .mounts import Mount
    from .serving_functions import ServingFunction

F = t.TypeVar("F", bound=t.Callable[..., t.Any])


class Serving(Scaffold):
    """What `Erlen` has for the time before, beside and after requests."""

    #: Functions that run around serving, in the order of their registration.
    serving_functions: tuple[ServingFunction, ...] = ()
    #: Applications under a path, the longest path first.
    mounts: tuple[Mount, ...] = ()
    _life: Life | None = None

    if t.TYPE_CHECKING:
        _program: Program | None

    # Start and end

    @setupmethod
    def before_serving(self, f: F) -> F:
        """Run a function, plain or `async`, in an application context before the first request.

        An error in it keeps an ASGI server from starting, and fails the request otherwise.
        """
        return self._add_serving_function("before_serving", f)

    @setupmethod
    def after_serving(self, f: F) -> F:
        """Run a function, plain or `async`, in an application context when serving ends."""
        return self._add_serving_function("after_serving", f)

    @setupmethod
    def while_serving(self, f: F) -> F:
        """Run a generator function, plain or `async`, to its `yield` before the first request,
        and to its end when serving ends.

        A function that returns a context manager does as well.
        """
        return self._add_serving_function("while_serving", f)

    def _add_serving_function(self, kind: str, f: F) -> F:
        from .serving_functions import serving_function

        self.serving_functions += (serving_function(kind, f, caller_place()),)
        return f

    def start_serving(self) -> None:
        """Start now what otherwise starts before the first request under a WSGI server.

        Nothing where it is started already. Raises what a function raises.
        """
        from .lifespan import life_of

        life_of(self).start()

    def stop_serving(self) -> None:
        """End what the first request, `start_serving` or a background task has started.

        It ends by itself when the process does; this is for tests and shells. Raises RuntimeError
        where an ASGI server has started it, and what the functions raise.
        """
        if self._life is not None:
            self._life.stop()

    def _needs_start(self) -> bool:
        """Whether anything is to run before the first request, started or not."""
        return bool(self.serving_functions) or any(mount.has_lifespan for mount in self.mounts)

    def _waits_for_start(self) -> bool:
        """Whether that has still to be done in this process."""
        if not (self.serving_functions or self.mounts) or not self._needs_start():
            return False
        return self._life is None or not self._life.is_started

    def _serving_changed(self) -> None:
        """Have the next request look whether the application is started."""
        program = self.__dict__.get("_program")
        if program is not None:
            program.asks = program.waits = True

    # Beside requests

    def add_background_task(
        self, func: t.Callable[..., t.Any], *args: t.Any, **kwargs: t.Any
    ) -> None:
        """Call a function in an application context of its own, without waiting for it.

        A coroutine function runs as a task on the server's event loop (under a WSGI server on one
        beside), a plain function on a thread. Errors are logged. When serving ends, tasks get
        `BACKGROUND_TASK_SHUTDOWN_TIMEOUT` seconds (5 by default) to finish; then they are
        cancelled.
        """
        from .lifespan import life_of

        life = life_of(self)
        life.tasks.start(life.home(), func, args, kwargs)

    # Models

    @setupmethod
    def enable_health(self, alive: str | None = "/healthz", ready: str | None = "/readyz") -> None:
        """Answer whether the process is alive, and whether its models are loaded and warm (503
        until then, and while serving ends). An application with a predictor does so by itself.

        :param alive: the path; `None` for no such route
        :param ready: likewise
        """
        registry = import_module(".ml", __package__).part("registry", "app.enable_health")
        registry.enable_health(self, alive, ready)

    @setupmethod
    def enable_metrics(self, path: str = "/metrics", **route: t.Any) -> None:
        """Serve the numbers of this process's models, for Prometheus. Raises MissingExtra.

        :param route: options of the rule, such as `host`
        """
        metrics = import_module(".ml", __package__).part("metrics", "app.enable_metrics")
        metrics.enable(self, path, route)

    # Below a path

    @setupmethod
    def mount(self, path: str, app: t.Any, *, interface: str | None = None) -> None:
        """Have another application answer everything below a path, before any route of this one.

        It sees the path as its root; hooks of this application do not run. An ASGI application's
        lifespan runs with this one's. Both kinds work under both kinds of server, but for
        WebSockets, which WSGI servers do not have. `interface` is "asgi" or "wsgi" where the
        application does not show which it is. Raises SetupError.
        """
        from .mounts import add_mount

        self.mounts = add_mount(self.mounts, path, app, interface, caller_place())

    # Documentation

    @setupmethod
    def enable_docs(
        self,
        path: str = "/docs",
        *,
        ui: str = "swagger",
        openapi: str = "/openapi.json",
        yaml: str | None = "/openapi.yaml",
        asyncapi: str | None = "/asyncapi.json",
        ui_options: cabc.Mapping[str, t.Any] | None = None,
        decorator: t.Callable[[t.Any], t.Any] | None = None,
        route: cabc.Mapping[str, t.Any] | None = None,
        **said: t.Any,
    ) -> None:
        """Serve a documentation page, and the documents that it shows; call again for a second.

        Raises MissingExtra where the extra `docs` is not installed, and SetupError.

        :param ui: `swagger`, `redoc` or `scalar`
        :param openapi: the path of the OpenAPI document; of the first call, as the next two
        :param yaml: the same as YAML; `None` for none
        :param asyncapi: the path of the document of WebSockets and event streams; `None` for none
        :param ui_options: options of the page's program
        :param decorator: around the views, such as one that asks who is there
        :param route: options of the rules, such as `host`
        :param said: `title`, `version`, `description`, `servers`, `tags`, `security`, `webhooks`
            and other members of the document
        """
        # Above the application; reached by name, and only from here.
        pages = import_module(".api.docs", __package__)
        documents = {"openapi": openapi, "yaml": yaml, "asyncapi": asyncapi}
        given = dict(ui_options or {}), decorator, dict(route or {}), said
        pages.enable(self, path, ui, documents, *given)
