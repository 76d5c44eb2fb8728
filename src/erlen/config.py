"""The configuration: a dictionary that knows how to fill itself."""

from __future__ import annotations

import errno
import json
import os
import typing as t
from functools import wraps

T = t.TypeVar("T")

_UNREADABLE_AS_SOURCE = frozenset({errno.ENOENT, errno.EISDIR, errno.ENOTDIR})
_UNREADABLE_AS_DATA = frozenset({errno.ENOENT, errno.EISDIR})


class ConfigAttribute(t.Generic[T]):
    """An attribute of the application that stands for a key of its configuration.

    :param name: the key
    :param get_converter: turns the stored value into what reading the attribute gives
    """

    def __init__(self, name: str, get_converter: t.Callable[[t.Any], T] | None = None) -> None:
        self.__name__ = name
        self.get_converter = get_converter

    @t.overload
    def __get__(self, obj: None, owner: None) -> ConfigAttribute[T]: ...

    @t.overload
    def __get__(self, obj: t.Any, owner: type[t.Any]) -> T: ...

    def __get__(self, obj: t.Any | None, owner: type[t.Any] | None = None) -> t.Any:
        if obj is None:
            return self
        stored = obj.config[self.__name__]
        convert = self.get_converter
        return t.cast(T, stored) if convert is None else convert(stored)

    def __set__(self, obj: t.Any, value: t.Any) -> None:
        obj.config[self.__name__] = value


def _announced(mutator: t.Callable[..., t.Any]) -> t.Any:
    """A method of `dict` that tells the owner of the configuration afterwards."""

    @wraps(mutator)
    def mutate(self: Config, *args: t.Any, **kwargs: t.Any) -> t.Any:
        result = mutator(self, *args, **kwargs)
        if self._on_change is not None:
            self._on_change()
        return result

    return mutate


class Config(dict):  # type: ignore[type-arg]
    """A dict with loaders for files, objects, mappings and environment variables.

    The loaders that read a namespace (files, objects, mappings) take upper-case names only.

    :param root_path: the folder that relative file names start from
    :param defaults: the first values
    """

    #: Called with nothing after each change; belongs to the application, so copies do not have it.
    _on_change: t.Callable[[], None] | None = None

    def __init__(
        self,
        root_path: str | os.PathLike[str],
        defaults: dict[str, t.Any] | None = None,
    ) -> None:
        super().__init__(defaults or {})
        self.root_path = root_path

    if not t.TYPE_CHECKING:
        __setitem__ = _announced(dict.__setitem__)
        __delitem__ = _announced(dict.__delitem__)
        __ior__ = _announced(dict.__ior__)
        update = _announced(dict.update)
        setdefault = _announced(dict.setdefault)
        pop = _announced(dict.pop)
        popitem = _announced(dict.popitem)
        clear = _announced(dict.clear)

    def __getstate__(self) -> dict[str, t.Any]:
        return {name: value for name, value in vars(self).items() if name != "_on_change"}

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {super().__repr__()}>"

    # -- from the environment ---------------------------------------------------------------------

    def from_envvar(self, variable_name: str, silent: bool = False) -> bool:
        """Run the Python file that an environment variable names (`from_pyfile`).

        :param silent: a variable or file that is missing gives False instead of an error
        :raises RuntimeError: if the variable is not set
        """
        if file_name := os.environ.get(variable_name):
            return self.from_pyfile(file_name, silent=silent)
        if silent:
            return False
        raise RuntimeError(
            f"The environment variable {variable_name!r} is not set and as such configuration"
            " could not be loaded. Set this variable and make it point to a configuration file"
        )

    def from_prefixed_env(
        self, prefix: str = "FLASK", *, loads: t.Callable[[str], t.Any] = json.loads
    ) -> bool:
        """Take all environment variables that start with a prefix and an underscore.

        `FLASK_A__B=1` sets key `B` of the dict at `A`, which is made if need be. Names are taken
        in sorted order.

        :param loads: parses each value; what it refuses stays a string
        """
        start = f"{prefix}_"
        if os.name == "nt":  # names are upper-case there, whatever was set
            start = start.upper()

        for name in sorted(filter(lambda n: n.startswith(start), os.environ)):
            text = os.environ[name]
            try:
                value = loads(text)
            except Exception:  # whatever a parser raises says: not one of mine
                value = text
            self._set_nested(name[len(start) :].split("__"), value)
        return True

    def _set_nested(self, keys: list[str], value: t.Any) -> None:
        *parents, last = keys
        target: dict[str, t.Any] = self
        for key in parents:
            if key not in target:
                target[key] = {}
            target = target[key]
        target[last] = value
        if target is not self and self._on_change is not None:
            self._on_change()

    # -- from files -------------------------------------------------------------------------------

    def from_pyfile(self, filename: str | os.PathLike[str], silent: bool = False) -> bool:
        """Run a Python file and take its upper-case names.

        :param filename: relative to `root_path`
        :param silent: a file that is missing gives False instead of an error
        :raises OSError: if the file cannot be read
        """
        from types import ModuleType

        module = ModuleType("config")
        module.__file__ = path = os.path.join(self.root_path, filename)

        def run(file: t.IO[bytes]) -> ModuleType:
            exec(compile(file.read(), path, "exec"), vars(module))
            return module

        if self._read(path, run, _UNREADABLE_AS_SOURCE if silent else ()) is None:
            return False
        self.from_object(module)
        return True

    def from_file(
        self,
        filename: str | os.PathLike[str],
        load: t.Callable[[t.IO[t.Any]], t.Mapping[str, t.Any]],
        silent: bool = False,
        text: bool = True,
    ) -> bool:
        """Take the mapping that a function reads from an open file, like `tomllib.load`.

        :param filename: relative to `root_path`
        :param load: gets the file object
        :param silent: a file that is missing gives False instead of an error
        :param text: open as text, otherwise as bytes
        :raises OSError: if the file cannot be read
        """
        allowed = _UNREADABLE_AS_DATA if silent else ()
        path = os.path.join(self.root_path, filename)
        mapping = self._read(path, load, allowed, "r" if text else "rb")
        return mapping is not None and self.from_mapping(mapping)

    @staticmethod
    def _read(
        path: str,
        load: t.Callable[[t.IO[t.Any]], T],
        allowed_errors: t.Container[int | None],
        mode: str = "rb",
    ) -> T | None:
        """What `load` makes of the file, None for an error that is allowed."""
        try:
            with open(path, mode) as file:
                return load(file)
        except OSError as e:
            if e.errno in allowed_errors:
                return None
            e.strerror = f"Unable to load configuration file ({e.strerror})"
            raise

    # -- from objects -----------------------------------------------------------------------------

    def from_object(self, obj: object | str) -> None:
        """Take the upper-case attributes of a module, class or object, or of what a name imports.

        Attributes are read with `dir()` and `getattr()`: of a class, properties come unevaluated.
        """
        if isinstance(obj, str):
            from werkzeug.utils import import_string

            obj = import_string(obj)
        for name in filter(str.isupper, dir(obj)):
            self[name] = getattr(obj, name)

    def from_mapping(self, mapping: t.Mapping[str, t.Any] | None = None, **kwargs: t.Any) -> bool:
        """Take the upper-case items of a mapping and the upper-case keyword arguments."""
        for key, value in dict(mapping or {}, **kwargs).items():
            if key.isupper():
                self[key] = value
        return True

    # -- to objects -------------------------------------------------------------------------------

    def get_namespace(
        self, namespace: str, lowercase: bool = True, trim_namespace: bool = True
    ) -> dict[str, t.Any]:
        """The items whose keys start with a prefix, as keyword arguments for a function, say.

        :param lowercase: give the keys in lower case
        :param trim_namespace: leave the prefix out of the keys
        """
        cut = len(namespace) if trim_namespace else 0
        return {
            key[cut:].lower() if lowercase else key[cut:]: value
            for key, value in self.items()
            if key.startswith(namespace)
        }
