"""Direct's get services: the body of a request, a page of objects, paging to the end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from connectors.base import paging
from connectors.base.batch import JsonBatch, Record
from connectors.base.errors import ParseError
from connectors.base.paging import Page
from connectors.base.stream import objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

log = logging.getLogger(__name__)

SERVICES = {
    "campaigns": ("campaigns", "Campaigns"),
    "ad_groups": ("adgroups", "AdGroups"),
    "ads": ("ads", "Ads"),
    "keywords": ("keywords", "Keywords"),
}
"""Stream -> (service, key of its objects in `result`)."""

TEXT_AD_FIELDS = ["Title", "Title2", "Text", "Href"]
PAGE = 10_000
CAMPAIGNS_A_CALL = 10


def read(
    client: ApiClient,
    stream: Stream,
    headers: Mapping[str, str],
    criteria: dict[str, Any],
    names: list[str] | None = None,
) -> Iterator[JsonBatch]:
    """Every object that fits the criteria: pages until no `LimitedBy` comes.

    `names` are the fields to ask for (default: those of the stream). The points that
    a call cost go to the log. Raises ParseError when the pages do not move on.
    """
    service, _ = SERVICES[stream.name]
    ids = frozenset(criteria.get("CampaignIds", ()))

    def fetch(offset: int) -> Page[Record]:
        body = request(stream, criteria, offset=offset, names=names)
        answer = client.post(f"json/v501/{service}", body, headers=headers)
        units = answer.headers.get("Units", "unknown")
        log.info("yandex_direct %s: points spent/left/daily %s", service, units)
        found = page(stream, answer.json())
        if ids and not all(item.get("CampaignId") in ids for item in found.items):
            raise ParseError(
                f"yandex_direct {service}: an object is of no campaign that was asked for"
            )
        return found

    for records in paging.offset(fetch, what=f"yandex_direct {service}"):
        yield JsonBatch(list(records))


def request(
    stream: Stream,
    criteria: dict[str, Any],
    *,
    offset: int = 0,
    limit: int = PAGE,
    names: list[str] | None = None,
) -> dict[str, Any]:
    """The body that asks for one page: `limit` objects from `offset` on."""
    declared = [field.name for field in stream.fields if field.name != "TextAd"]
    params: dict[str, Any] = {
        "SelectionCriteria": criteria,
        "FieldNames": names or declared,
        "Page": {"Limit": limit, "Offset": offset},
    }
    if stream.name == "ads" and names is None:
        params["TextAdFieldNames"] = TEXT_AD_FIELDS
    return {"method": "get", "params": params}


def page(stream: Stream, value: Any) -> Page[Record]:
    """The objects of one page and where it was cut off. Raises ParseError.

    No key of the objects at all means that nothing was found.
    """
    service, key = SERVICES[stream.name]
    where = f"yandex_direct {service}"
    result = value.get("result") if isinstance(value, dict) else None
    if not isinstance(result, dict):
        raise ParseError(f"{where}: the answer has no object `result`")
    if others := {*result} - {key, "LimitedBy"}:
        raise ParseError(f"{where}: the answer holds {min(others)}, not {key}")
    found = result.get(key, [])
    if not isinstance(found, list):
        raise ParseError(f"{where}: {key} is not a list")
    limited_by = result.get("LimitedBy")
    if limited_by is not None and type(limited_by) is not int:
        raise ParseError(f"{where}: LimitedBy is not a number: {limited_by!r}")
    return Page(objects(stream, found, where), next=limited_by)
