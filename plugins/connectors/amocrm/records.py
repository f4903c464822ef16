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
    from collections.abc import Collection

    from connectors.base.batch import Record
    from connectors.base.stream import Stream

_TRACKED = frozenset((*streams.TRACKING, *streams.TRACKING_IDS, *streams.TRACKING_URLS))
_CONTACTS = {"PHONE": "phone", "EMAIL": "email"}
_OF_THE_API = frozenset({"_links", "_embedded"})


def shaped(stream: Stream, row: Record, mapped: Collection[int] = ()) -> Record:
    """A row as the stream's record; the row itself is used up."""
    if stream.name == "leads":
        return lead(row, mapped)
    if stream.name == "contacts":
        return contact(row)
    # anything else: a status, a user, an event
    return {name: value for name, value in row.items() if name not in _OF_THE_API}


def lead(row: Record, mapped: Collection[int] = ()) -> Record:
    """A lead with its tracking data, its mapped fields and its main contact on top."""
    record = _without_links(row)
    lifted: Record = {}
    items = record.get("custom_fields_values")
    if isinstance(items, list):
        rest = record["custom_fields_values"] = []
        for item in items:
            values = _values(item) or []
            name = _name(item, mapped) if len(values) == 1 else None
            if name is None or name in lifted:
                rest.append(item)
            else:
                lifted[name] = values[0].get("value")
        record.update(lifted)
    record["main_contact_id"] = _main_contact(record)
    return record


def contact(row: Record) -> Record:
    """A contact with its phones and e-mails as two lists on top.

    `name` is the whole name; its parts are kept aside, because parts and whole
    together would count each word twice.
    """
    record = _without_links(row)
    lifted: dict[str, list[Any]] = {}
    items = record.get("custom_fields_values")
    if isinstance(items, list):
        rest = record["custom_fields_values"] = []
        for item in items:
            values = _values(item)
            what = None if values is None else _CONTACTS.get(_code(item))
            if values is None or what is None:
                rest.append(item)
                continue
            found = lifted.setdefault(f"{what}s", [])
            found += [each.get("value") for each in values]
            kinds = lifted.setdefault(f"{what}_kinds", [])
            kinds += [each.get("enum_code", each.get("enum")) for each in values]
        record.update(lifted)
    parts = [record.pop(name, None) for name in ("first_name", "last_name")]
    if parts := [part for part in parts if part]:
        record["name_parts"] = parts
        record["name"] = record.get("name") or " ".join(map(str, parts))
    return record


def _main_contact(row: Record) -> str | None:
    embedded = row.get("_embedded")
    found = embedded.get("contacts") if isinstance(embedded, dict) else None
    if not isinstance(found, list):
        return None
    first = None
    for each in found:
        if isinstance(each, dict) and each.get("id"):
            if each.get("is_main"):
                return str(each["id"])
            first = first or str(each["id"])
    return first


def _values(item: Any) -> list[Record] | None:
    """The values of a custom field; None when it has another shape."""
    values = item.get("values") if isinstance(item, dict) else None
    if not isinstance(values, list):
        return None
    for each in values:
        if not isinstance(each, dict):
            return None
    return values


def _name(item: Record, mapped: Collection[int]) -> str | None:
    """What a lead's custom field is called on top; None: it stays in the list.

    A mark of advertising has its name in capitals; user-made fields may bear the same.
    """
    if mapped and item.get("field_id") in mapped:
        return str(item["field_id"])
    if item.get("field_type") != "tracking_data":
        return None
    name = str(item.get("field_code") or item.get("field_name")).upper()
    return name if name in _TRACKED else None


def _code(item: Record) -> str:
    return str(item.get("field_code")).upper()


def _without_links(row: Record) -> Record:
    """A copy of the row without its own links, and without those of the objects
    embedded in it, which go from both. HAL knows links nowhere else."""
    _drop_links(row.get("_embedded"))
    return {name: value for name, value in row.items() if name != "_links"}


def _drop_links(embedded: Any) -> None:
    for inside in embedded.values() if type(embedded) is dict else ():
        for each in inside if type(inside) is list else (inside,):
            if type(each) is dict:
                each.pop("_links", None)
                if "_embedded" in each:
                    _drop_links(each["_embedded"])
