"""amoCRM's objects as records: phones, marks of advertising and mapped fields on top.

In an answer all of these hide in `custom_fields_values`, a list whose field names may
repeat. They are lifted to the top, where each has its class (contact, URL, id); the
rest of the list, and all else that came, stays as it was. Only `_links`, the API's own
addresses, are left out: they repeat the request, so a lead would differ from page to
page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.amocrm import streams

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from connectors.base.batch import Record

_TRACKED = frozenset((*streams.TRACKING, *streams.TRACKING_IDS, *streams.TRACKING_URLS))


def lead(row: Record, mapped: Collection[int] = ()) -> Record:
    """A lead with its tracking data, its mapped fields and its main contact on top."""
    record: Record = _without_links(row)
    lifted: Record = {}

    def lift(item: Record) -> bool:
        name = _tracked_name(item)
        if item.get("field_id") in mapped:
            name = str(item["field_id"])
        if name is None or name in lifted:
            return False
        values = _values(item)
        if len(values) == 1:
            lifted[name] = values[0]
        return len(values) == 1

    _lift(record, lift)
    record.update(lifted)
    record["main_contact_id"] = _main_contact(record)
    return record


def contact(row: Record) -> Record:
    """A contact with its phones and e-mails as two lists on top.

    `name` is the whole name; its parts are kept aside, because parts and whole
    together would count each word twice.
    """
    record: Record = _without_links(row)
    lifted: dict[str, list[Any]] = {}

    def lift(item: Record) -> bool:
        code = str(item.get("field_code")).upper()
        if code not in ("PHONE", "EMAIL"):
            return False
        what = code.lower()
        lifted.setdefault(f"{what}s", []).extend(_values(item))
        kinds = lifted.setdefault(f"{what}_kinds", [])
        kinds += [each.get("enum_code", each.get("enum")) for each in item["values"]]
        return True

    _lift(record, lift)
    record.update(lifted)
    parts = [record.pop(name, None) for name in ("first_name", "last_name")]
    if parts := [part for part in parts if part]:
        record["name_parts"] = parts
        record["name"] = record.get("name") or " ".join(map(str, parts))
    return record


def plain(row: Record) -> Record:
    """Anything else: a status, a user, an event."""
    record: Record = _without_links(row)
    record.pop("_embedded", None)
    return record


def _main_contact(row: Record) -> str | None:
    embedded = row.get("_embedded")
    found = embedded.get("contacts") if isinstance(embedded, dict) else None
    if not isinstance(found, list):
        return None
    ids = [
        str(each["id"])
        for each in sorted(
            (each for each in found if isinstance(each, dict) and each.get("id")),
            key=lambda each: not each.get("is_main"),
        )
    ]
    return ids[0] if ids else None


def _lift(record: Record, take: Callable[[Record], bool]) -> None:
    """Give each custom field to `take`; what it takes goes from the list."""
    items = record.get("custom_fields_values")
    if not isinstance(items, list):
        return
    record["custom_fields_values"] = [
        item
        for item in items
        if not (
            isinstance(item, dict)
            and isinstance(item.get("values"), list)
            and all(isinstance(each, dict) for each in item["values"])
            and take(item)
        )
    ]


def _tracked_name(item: Record) -> str | None:
    """The mark's name in capitals; user-made fields may bear the same one."""
    if item.get("field_type") != "tracking_data":
        return None
    name = str(item.get("field_code") or item.get("field_name")).upper()
    return name if name in _TRACKED else None


def _values(item: Record) -> list[Any]:
    return [each.get("value") for each in item["values"]]


_NESTED = frozenset({dict, list})


def _without_links(row: Record) -> Record:
    """A copy of the row without its own links; those inside of it go from both."""
    for value in row.values():
        if type(value) in _NESTED:
            _drop_links(value)
    return {name: value for name, value in row.items() if name != "_links"}


def _drop_links(value: Any) -> None:
    # most values are plain: they are asked for their type, not called for
    if type(value) is dict:
        value.pop("_links", None)
        value = value.values()
    for each in value:
        if type(each) in _NESTED:
            _drop_links(each)
