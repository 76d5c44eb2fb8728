"""Lists in pages: what the client asks for, what it gets, and links to the other pages.

Source of the links: RFC 8288; of the relations: IANA, "Link Relations".
"""

from __future__ import annotations

import typing as t

import typing_extensions as te
from pydantic import BaseModel, Field
from werkzeug.datastructures import MultiDict
from werkzeug.urls import iri_to_uri

from ..ctx import after_this_request
from ..globals import request

if t.TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..wrappers import Response

T = t.TypeVar("T")


class PageParams(BaseModel):
    """Which page the client wants: a parameter `Query[PageParams]`.

    A subclass may set other limits and defaults.
    """

    page: int = Field(1, ge=1, le=1_000_000_000, description="Number of the page, from 1.")
    size: int = Field(20, ge=1, le=100, description="Items on a page.")

    @property
    def offset(self) -> int:
        """Items before the page."""
        return (self.page - 1) * self.size

    @property
    def limit(self) -> int:
        """Most items on the page."""
        return self.size


class Page(BaseModel, t.Generic[T]):
    """One page of a list, as the answer's body."""

    items: list[T]
    page: int
    size: int
    #: Items on all pages; `None` where counting them would cost too much.
    total: int | None = None

    @property
    def pages(self) -> int | None:
        """Number of pages; `None` where it is not known."""
        return None if self.total is None else -(-self.total // self.size)

    @classmethod
    def of(cls, items: Iterable[t.Any], params: PageParams, total: int | None = None) -> te.Self:
        """The page with these items, `total` of all pages; the answer gets the `Link` header.

        Without a total there is a next page where this one is full. `items` are validated, also
        from the attributes of objects.
        """
        made = cls.model_validate(
            {"items": [*items], "page": params.page, "size": params.size, "total": total},
            from_attributes=True,
        )
        add_links(made)
        return made

    @classmethod
    def cut(cls, everything: Sequence[t.Any], params: PageParams) -> te.Self:
        """The page of a sequence that is at hand as a whole."""
        start = params.offset
        return cls.of(everything[start : start + params.size], params, len(everything))


def links(page: Page[t.Any]) -> dict[str, str]:
    """URLs of other pages by their relation (`first`, `prev`, `next`, `last`), for the current
    request."""
    last = page.pages
    numbers = {}
    if page.page > 1:
        numbers["first"] = 1
        numbers["prev"] = page.page - 1 if last is None else min(page.page - 1, max(last, 1))
    if page.page < last if last is not None else len(page.items) == page.size:
        numbers["next"] = page.page + 1
    if last and last != page.page:
        numbers["last"] = last
    return {relation: _url_of(number, page.size) for relation, number in numbers.items()}


def _url_of(number: int, size: int) -> str:
    from urllib.parse import urlencode

    query = MultiDict(request.args)
    query["page"] = str(number)
    if "size" in query:
        query["size"] = str(size)
    return iri_to_uri(f"{request.base_url}?{urlencode([*query.items(multi=True)])}")


def add_links(page: Page[t.Any]) -> None:
    """Have the answer of this request name the other pages in `Link`."""
    found = links(page)
    if not found:
        return

    @after_this_request
    def add(response: Response) -> Response:
        for relation, url in found.items():
            response.headers.add("Link", f'<{url}>; rel="{relation}"')
        return response
