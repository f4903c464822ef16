"""VK Ads' lists of objects, the deleted ones included: paged by offset to the count."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.errors import ParseError, RetriableError
from connectors.base.paging import Page
from connectors.base.stream import outline

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient

PAGE = 250  # the most; without a limit 20 come
STATUSES = "active,blocked,deleted"  # else the deleted ones, which did cost money, lack


def read(client: ApiClient, name: str, fields: list[str]) -> Iterator[list[Record]]:
    """All objects of a list (ad_plans, ad_groups, banners), page by page, by id.

    Without `fields` VK would give ids and names only. Raises ParseError, RetriableError
    when the pages do not come to the count.
    """

    def fetch(offset: int) -> Page[Record]:
        asked = {
            "fields": ",".join(fields),
            "_status__in": STATUSES,
            "sorting": "id",
            "limit": PAGE,
            "offset": offset,
        }
        content = client.get(f"api/v2/{name}.json", asked).json()
        found = page(content, f"vk_ads {name}")
        if content.get("offset", offset) != offset:
            raise RetriableError(
                f"vk_ads {name}: asked from offset {offset}, got {content['offset']}"
            )
        return found

    for items in paging.offset(fetch, what=f"vk_ads {name}"):
        yield list(items)


def page(content: Any, what: str) -> Page[Record]:
    """One page: its objects, the count of all, and where the next page starts.

    The last page is where the count is reached, however many came. Raises ParseError.
    """
    items = content.get("items") if isinstance(content, dict) else None
    if not isinstance(items, list) or not all(isinstance(i, dict) for i in items):
        raise ParseError(f"{what}: no list `items` of objects: {outline(content)}")
    count, offset = content.get("count"), content.get("offset", 0)
    if type(count) is not int or type(offset) is not int:
        raise ParseError(f"{what}: count and offset must be whole numbers")
    end = offset + len(items)
    return Page(items, total=count, next=end if end < count else None)
