"""Views as classes: an object answers the request, or one of its methods per HTTP method."""

from __future__ import annotations

import typing as t

from .globals import current_app, request

if t.TYPE_CHECKING:
    from . import typing as ft

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

http_method_funcs = frozenset(["get", "post", "head", "options", "delete", "put", "trace", "patch"])


class View:
    """A view whose `dispatch_request` answers, with the URL's variables as keyword arguments."""

    #: HTTP methods that the view answers, for the routes that it is registered with.
    methods: t.ClassVar[t.Collection[str] | None] = None

    #: Whether OPTIONS is answered for the view; None leaves it to the route and the config.
    provide_automatic_options: t.ClassVar[bool | None] = None

    #: Decorators for the function that `as_view` makes; the first one is applied first.
    decorators: t.ClassVar[list[t.Callable[..., t.Any]]] = []

    #: An object for each request; False makes a single one, which must keep no state on itself.
    init_every_request: t.ClassVar[bool] = True

    def dispatch_request(self) -> ft.ResponseReturnValue:
        """Answer the request; subclasses must have this."""
        raise NotImplementedError()

    @classmethod
    def as_view(cls, name: str, *class_args: t.Any, **class_kwargs: t.Any) -> ft.RouteCallable:
        """The view function of the class, for `add_url_rule`.

        :param name: the function's name, and so the endpoint's
        :param class_args: passed to the class, as are the keyword arguments
        """

        def make_object() -> View:
            # Asked by attribute: assigning `view_class` replaces the class of a view.
            return t.cast(View, made.view_class(*class_args, **class_kwargs))

        if not cls.init_every_request:
            only = cls(*class_args, **class_kwargs)

            def make_object() -> View:
                return only

        def view(**kwargs: t.Any) -> ft.ResponseReturnValue:
            answer = current_app.ensure_sync(make_object().dispatch_request)
            return t.cast("ft.ResponseReturnValue", answer(**kwargs))

        def label(function: t.Any) -> t.Any:
            function.__name__, function.__module__ = name, cls.__module__
            return function

        made = label(view)
        for decorate in cls.decorators:
            made = decorate(made)
        label(made)
        made.__doc__ = cls.__doc__
        made.view_class = cls
        made.methods = cls.methods
        made.provide_automatic_options = cls.provide_automatic_options
        return t.cast("ft.RouteCallable", made)


class MethodView(View):
    """A view with a method for each HTTP method: `get`, `post`, ...; HEAD falls back to `get`.

    `methods` follows from the methods that a class has or inherits, unless it is given.
    """

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        if "methods" in vars(cls):
            return
        named = {verb.upper() for verb in http_method_funcs if hasattr(cls, verb)}
        named.update(*(getattr(base, "methods", None) or () for base in cls.__bases__))
        if named:
            cls.methods = named

    def dispatch_request(self, **kwargs: t.Any) -> ft.ResponseReturnValue:
        """Answer with the method for the request's HTTP method."""
        verb = request.method
        answer = getattr(self, verb.lower(), None)
        if answer is None and verb == "HEAD":
            answer = getattr(self, "get", None)
        assert answer is not None, f"Unimplemented method {verb!r}"
        return t.cast("ft.ResponseReturnValue", current_app.ensure_sync(answer)(**kwargs))
