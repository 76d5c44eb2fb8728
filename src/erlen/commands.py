"""What commands of an application need: find it, load it, run with its context pushed."""

from __future__ import annotations

import ast
import inspect
import os
import re
import sys
import traceback
import typing as t
from functools import partial, update_wrapper
from pathlib import Path

import click

from .engine.bridge import await_, is_coroutine_function
from .globals import current_app
from .helpers import get_debug_flag, get_load_dotenv

if t.TYPE_CHECKING:
    from types import ModuleType

    from .app import Erlen

F = t.TypeVar("F", bound=t.Callable[..., t.Any])

INSTANCE_NAMES = ("app", "application")
FACTORY_NAMES = ("create_app", "make_app")
DEFAULT_FILES = ("wsgi.py", "app.py")

# A colon before a name, not the one of a Windows drive.
_NAME_SEPARATOR = re.compile(r":(?![\\/])")


class NoAppException(click.UsageError):
    """No application could be found or loaded; the message says what was tried."""


def _is_app(value: object) -> t.TypeGuard[Erlen]:
    from .app import Erlen

    return isinstance(value, Erlen)


# Finding an application in a module


def find_best_app(module: ModuleType) -> Erlen:
    """The application of a module whose name nobody gave.

    In this order: an instance named ``app`` or ``application``, the only instance there is, what
    ``create_app()`` or ``make_app()`` returns. Raises :exc:`NoAppException`.
    """
    where = module.__name__
    usual = (getattr(module, name, None) for name in INSTANCE_NAMES)
    instances = [value for value in usual if _is_app(value)][:1] or [
        value for value in vars(module).values() if _is_app(value)
    ]
    if len(instances) > 1:
        raise NoAppException(
            f"Detected multiple Flask applications in module '{where}'."
            f" Use '{where}:name' to specify the correct one."
        )
    for instance in instances:
        return instance
    for name in FACTORY_NAMES:
        factory = getattr(module, name, None)
        if inspect.isfunction(factory):
            made = _call_factory(
                factory,
                otherwise=f"Detected factory '{name}' in module '{where}', but could not call it"
                f" without arguments. Use '{where}:{name}(args)' to specify arguments.",
            )
            if _is_app(made):
                return made
    raise NoAppException(
        f"Failed to find Flask application or factory in module '{where}'."
        f" Use '{where}:name' to specify one."
    )


def _call_factory(
    factory: t.Callable[..., t.Any],
    args: t.Sequence[t.Any] = (),
    kwargs: t.Mapping[str, t.Any] | None = None,
    *,
    otherwise: str,
) -> t.Any:
    """Call a factory; arguments that do not fit it are a user's mistake, named by `otherwise`."""
    try:
        return factory(*args, **(kwargs or {}))
    except TypeError as error:
        if _called_with_wrong_args(factory):
            raise NoAppException(otherwise) from error
        raise


def _called_with_wrong_args(f: t.Callable[..., Erlen]) -> bool:
    """Whether the error being handled came from the call of `f`, not from inside its body."""
    code = getattr(f, "__code__", None)
    return all(frame.f_code is not code for frame, _ in traceback.walk_tb(sys.exc_info()[2]))


def find_app_by_string(module: ModuleType, app_name: str) -> Erlen:
    """The application that ``name`` or ``name(literal, key=literal)`` means in a module.

    Raises :exc:`NoAppException` if the text, the name or what it holds is wrong.
    """
    where = module.__name__
    name, args, kwargs = _parse_reference(app_name)
    try:
        value = getattr(module, name)
    except AttributeError as error:
        raise NoAppException(f"Failed to find attribute {name!r} in {where!r}.") from error
    if inspect.isfunction(value):
        value = _call_factory(
            value,
            args,
            kwargs,
            otherwise=f"The factory {app_name!r} in module {where!r} could not be called with the"
            " specified arguments.",
        )
    if _is_app(value):
        return value
    raise NoAppException(f"A valid Flask application was not obtained from '{where}:{app_name}'.")


def _parse_reference(text: str) -> tuple[str, list[t.Any], dict[str, t.Any]]:
    """Split ``name(args)`` into the name and the arguments, which are literals."""
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except SyntaxError:
        node = None
    match node:
        case ast.Name(id=name):
            return name, [], {}
        case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
            try:
                return (
                    name,
                    [ast.literal_eval(arg) for arg in args],
                    {word.arg: ast.literal_eval(word.value) for word in keywords if word.arg},
                )
            except ValueError as error:
                raise NoAppException(
                    f"Failed to parse arguments as literal values: {text!r}."
                ) from error
        case ast.Call():
            raise NoAppException(f"Function reference must be a simple name: {text!r}.")
        case _:
            raise NoAppException(f"Failed to parse {text!r} as an attribute name or function call.")


# Importing the module


def prepare_import(path: str) -> str:
    """Turn a file's path (or a dotted name) into a module's name, and make it importable.

    The folder that holds the outermost package goes to the front of :data:`sys.path`.
    """
    place = Path(os.path.realpath(path))
    if place.suffix == ".py":
        place = place.with_suffix("")
    if place.name == "__init__":
        place = place.parent
    names, folder = [place.name], place.parent
    while (folder / "__init__.py").exists():
        names.append(folder.name)
        folder = folder.parent
    if sys.path[0] != str(folder):
        sys.path.insert(0, str(folder))
    return ".".join(reversed(names))


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: t.Literal[True] = True
) -> Erlen: ...


@t.overload
def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: t.Literal[False]
) -> Erlen | None: ...


def locate_app(
    module_name: str, app_name: str | None, raise_if_not_found: bool = True
) -> Erlen | None:
    """Import a module and find the application in it, by name or by :func:`find_best_app`.

    A module that does not exist gives None if `raise_if_not_found` is false; an ImportError from
    within it is always a :exc:`NoAppException`, with its traceback.
    """
    try:
        __import__(module_name)
    except ImportError as error:
        inside = error.__traceback__.tb_next if error.__traceback__ else None
        if inside is not None:
            trace = "".join(traceback.format_exception(type(error), error, inside))
            raise NoAppException(
                f"While importing {module_name!r}, an ImportError was raised:\n\n{trace}"
            ) from None
        if raise_if_not_found:
            raise NoAppException(f"Could not import {module_name!r}.") from None
        return None
    module = sys.modules[module_name]
    return find_best_app(module) if app_name is None else find_app_by_string(module, app_name)


class ScriptInfo:
    """Carries the application through a command line; it is click's ``obj``.

    The application is loaded when a command first asks for it, once. `app_import_path` is what
    ``--app`` says; a `create_app` makes it unnecessary. `data` is free for the use of commands.
    """

    def __init__(
        self,
        app_import_path: str | None = None,
        create_app: t.Callable[..., Erlen] | None = None,
        set_debug_flag: bool = True,
        load_dotenv_defaults: bool = True,
    ) -> None:
        self.app_import_path = app_import_path
        self.create_app = create_app
        self.data: dict[t.Any, t.Any] = {}
        self.set_debug_flag = set_debug_flag
        self.load_dotenv_defaults = get_load_dotenv(load_dotenv_defaults)
        self._loaded_app: Erlen | None = None

    def load_app(self) -> Erlen:
        """The application, loaded on the first call. Raises :exc:`NoAppException`."""
        if self._loaded_app is None:
            found = self._find()
            if found is None:
                raise NoAppException(
                    "Could not locate a Flask application. Use the"
                    f" '{_program()} --app' option, 'FLASK_APP' environment variable, or a"
                    " 'wsgi.py' or 'app.py' file in the current directory."
                )
            if self.set_debug_flag:
                # The setter of `debug` also switches the reloading of templates.
                found.debug = get_debug_flag()
            self._loaded_app = found
        return self._loaded_app

    def _find(self) -> Erlen | None:
        if self.create_app is not None:
            return self.create_app()
        if self.app_import_path:
            path, *name = _NAME_SEPARATOR.split(self.app_import_path, maxsplit=1)
            return locate_app(prepare_import(path), name[0] if name else None)
        candidates = (locate_app(prepare_import(file), None, False) for file in DEFAULT_FILES)
        return next((app for app in candidates if app is not None), None)


def _program() -> str:
    """The command that the user typed, ``erlen`` or ``flask``, for hints in messages."""
    context = click.get_current_context(silent=True)
    typed = context.find_root().info_name if context is not None else None
    return "erlen" if typed and typed.endswith("erlen") else "flask"


pass_script_info = click.make_pass_decorator(ScriptInfo, ensure=True)


# Commands with the application's context


def with_appcontext(f: F) -> F:
    """Run a click callback, which may be a coroutine function, with the application's context.

    The application is the one of the command line's :class:`ScriptInfo`. Nothing is pushed where a
    context is active already. Commands of ``app.cli`` and of :class:`AppGroup` need no decorator.
    """

    wrapper = click.pass_context(partial(_invoke_in_context, f))
    return t.cast(F, update_wrapper(wrapper, f))


def _invoke_in_context(
    f: t.Callable[..., t.Any], ctx: click.Context, /, *args: t.Any, **kwargs: t.Any
) -> t.Any:
    if not current_app:
        loaded = ctx.ensure_object(ScriptInfo).load_app()
        ctx.with_resource(loaded.app_context())
    return ctx.invoke(_sync(current_app.ensure_sync(f)), *args, **kwargs)


_with_context = with_appcontext


def _sync(f: t.Callable[..., t.Any]) -> t.Callable[..., t.Any]:
    """The function, or one that waits where a coroutine function is under its decorators."""
    if not is_coroutine_function(inspect.unwrap(f)):
        return f

    def waiting(*args: t.Any, **kwargs: t.Any) -> t.Any:
        result = f(*args, **kwargs)
        return await_(result) if inspect.iscoroutine(result) else result

    return update_wrapper(waiting, f)


class AppGroup(click.Group):
    """A :class:`click.Group` whose commands run with the application's context pushed."""

    def command(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.Callable[[t.Callable[..., t.Any]], click.Command]:
        """As :meth:`click.Group.command`, with the context unless ``with_appcontext=False``."""
        in_context = kwargs.pop("with_appcontext", True)
        make: t.Callable[[t.Callable[..., t.Any]], click.Command] = super().command(*args, **kwargs)
        return lambda f: make(_with_context(f) if in_context else _sync(f))

    def group(  # type: ignore[override]
        self, *args: t.Any, **kwargs: t.Any
    ) -> t.Callable[[t.Callable[..., t.Any]], click.Group]:
        """As :meth:`click.Group.group`, with :class:`AppGroup` for the subgroup's class."""
        make: t.Callable[[t.Callable[..., t.Any]], click.Group]
        make = super().group(*args, **{"cls": AppGroup, **kwargs})
        return make
