"""Tables: rows of cells, from CSV or from JSON."""

from __future__ import annotations

import csv
import io
import math
import re
import typing as t

from pydantic_core import core_schema

from ..errors import MissingExtra
from .files import File
from .limits import MEGABYTE, Limits, Schema, fault

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    import typing_extensions as te

Cell: t.TypeAlias = "str | int | float | bool | None"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_MOST_DIGITS = 300


class Table(File):
    """Rows of cells under the names of columns.

    From a form it is a CSV file, or its text; in JSON a list of objects, or an object with
    `columns` and `rows`. Up to 5 MB, 100,000 rows and 1,000 columns; `Limits` says otherwise.
    In CSV, cells that are written as numbers are such, and empty ones are `None`.
    """

    kind = "table"
    media_type = "text/csv"
    formats = ("csv",)
    max_size = 5 * MEGABYTE
    max_rows: t.ClassVar[int] = 100_000
    max_columns: t.ClassVar[int] = 1_000

    def __init__(
        self, columns: Sequence[str] = (), rows: Iterable[Sequence[Cell]] = (), **about: t.Any
    ) -> None:
        super().__init__(**about)
        self._columns = [*columns]
        self._rows = [[*row] for row in rows]
        #: What came as JSON, until it is read.
        self._given: t.Any = None
        self._is_read = True

    @classmethod
    def of(cls, rows: Iterable[Mapping[str, Cell]]) -> te.Self:
        """A table of objects; columns are the keys of all of them."""
        rows = [*rows]
        columns = [*dict.fromkeys(key for row in rows for key in row)]
        return cls(columns, [[row.get(key) for key in columns] for row in rows])

    @property
    def columns(self) -> list[str]:
        """The names of the columns."""
        self.load()
        return self._columns

    @property
    def rows(self) -> list[list[Cell]]:
        """The cells, by row."""
        self.load()
        return self._rows

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[dict[str, Cell]]:
        """The rows as dicts."""
        for row in self.rows:
            yield dict(zip(self._columns, row, strict=True))

    def array(self, dtype: str = "float32") -> t.Any:
        """The cells as an array of (rows, columns); empty ones are NaN. Raises PydanticCustomError,
        a ValueError, where one is no number of this type."""
        import numpy as np

        try:
            with np.errstate(over="ignore"):
                array = np.array(self.rows, dtype=dtype)
        except (ValueError, TypeError, OverflowError):
            array = None
        if array is None or (array.dtype.kind == "f" and np.isinf(array).any()):
            raise fault("table_number", f"The cells of the table are numbers of {dtype}")
        return array

    def frame(self) -> t.Any:
        """A data frame of pandas."""
        try:
            import pandas  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise MissingExtra("Table.frame", "pandas", "ml") from error
        return pandas.DataFrame(self.rows, columns=self._columns)

    def load(self) -> None:
        """Read it. Raises PydanticCustomError."""
        if self._is_read:
            return
        if self._given is not None:
            self._take(self._given)
            self._given, self._is_read = None, True
            return
        super().load()
        try:
            text = self.data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise fault("table_type", "This is no CSV in UTF-8") from None
        self._read(text)
        self._is_read = True

    def _read(self, text: str) -> None:
        if "\0" in text:
            raise fault("table_type", "This is no CSV")
        sample = text[:4096]
        comma = max(",;\t", key=sample.partition("\n")[0].count)
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=comma)
        rows: list[list[Cell]] = []
        columns: list[str] = []
        try:
            columns = [name.strip() for name in next(lines, [])]
            self._check(columns, 0)
            for line in lines:
                if not line:
                    continue
                if len(line) != len(columns):
                    raise fault(
                        "table_shape",
                        f"Row {len(rows) + 1} has {len(line)} cells, and {len(columns)} columns"
                        " have names",
                    )
                rows.append([_cell(text) for text in line])
                self._check(columns, len(rows))
        except csv.Error as error:
            raise fault("table_type", f"This is no CSV: {error}") from None
        self._fill(columns, rows)

    def _check(self, columns: list[str], rows: int) -> None:
        most_rows = self._limits.max_rows or self.max_rows
        most_columns = self._limits.max_columns or self.max_columns
        if rows > most_rows:
            raise fault("table_size", f"A table has {most_rows} rows at most")
        if len(columns) > most_columns:
            raise fault("table_size", f"A table has {most_columns} columns at most")

    def _fill(self, columns: list[str], rows: list[list[Cell]]) -> None:
        if not rows or not columns:
            raise fault("table_empty", "The table has no rows")
        if len({*columns}) < len(columns):
            raise fault("table_columns", "Two columns of the table have one name")
        self._columns, self._rows = columns, rows

    # From JSON

    @classmethod
    def _received(cls, value: t.Any, limits: Limits) -> te.Self:
        if not isinstance(value, (list, dict)):
            if isinstance(value, str) and not value.startswith("data:"):
                value = value.encode()  # in a form, or in JSON, the CSV itself
            table = super()._received(value, limits)
            if table._data is not None or table._text or table._source is not None:
                table._is_read = False
            return table
        table = cls()
        table._limits = limits
        table._given, table._is_read = value, False
        return table

    def _take(self, value: t.Any) -> None:
        if isinstance(value, list):
            if not all(isinstance(row, dict) for row in value):
                raise fault("table_shape", "The rows of a table are objects")
            columns = [*value[0]] if value else []
            known = {*columns}
            for number, row in enumerate(value):
                if row.keys() != known:
                    raise fault("table_shape", f"Row {number + 1} has other columns than the first")
            rows = [[row[name] for name in columns] for row in value]
        else:
            columns, rows = value.get("columns"), value.get("rows")
            if not isinstance(columns, list) or not isinstance(rows, list):
                raise fault("table_shape", "A table has 'columns' and 'rows'")
            if not all(isinstance(name, str) for name in columns):
                raise fault("table_columns", "The names of columns are texts")
        self._check(columns, len(rows))
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(columns):
                raise fault(
                    "table_shape", f"Row {number + 1} has not the {len(columns)} cells of the table"
                )
            for cell in row:
                if cell is not None and not isinstance(cell, (str, int, float)):
                    raise fault("table_cell", f"A cell of row {number + 1} is no single value")
                if isinstance(cell, float) and not math.isfinite(cell):
                    raise fault("finite_number", f"A number of row {number + 1} is not finite")
        self._fill(columns, rows)

    @classmethod
    def _limited_schema(cls, limits: Limits) -> Schema:
        schema = {
            "anyOf": [
                {"type": "array", "items": {"type": "object"}, "minItems": 1},
                {
                    "type": "object",
                    "properties": {
                        "columns": {"type": "array", "items": {"type": "string"}},
                        "rows": {"type": "array", "items": {"type": "array"}, "minItems": 1},
                    },
                    "required": ["columns", "rows"],
                },
                {"type": "string", "contentMediaType": "text/csv"},
            ]
        }
        made: t.Any = super()._limited_schema(limits)
        made["metadata"]["pydantic_js_functions"] = [lambda _schema, _handler: schema]
        made["serialization"] = core_schema.plain_serializer_function_ser_schema(
            lambda table: [*table]
        )
        return t.cast("Schema", made)


def _cell(text: str) -> Cell:
    text = text.strip()
    if not text:
        return None
    if len(text) > _MOST_DIGITS or not _NUMBER.fullmatch(text):
        return text
    number = float(text)
    if not math.isfinite(number):
        return text
    return int(text) if text.lstrip("+-").isdigit() else number
