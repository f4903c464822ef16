"""Bitrix24's answers as records, whichever of its methods gave them.

`crm.lead.list` and its like name fields in capitals, `crm.item.*` in camelCase: of
leads, deals and contacts both become the same record.
"""

from __future__ import annotations

import re
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from connectors.base.errors import ParseError, RetriableError
from connectors.base.stream import objects
from connectors.bitrix24 import batches

if TYPE_CHECKING:
    from connectors.base.batch import Record
    from connectors.base.stream import Stream

_INSIDE = {
    "deal_categories": "categories",
    "deal_products": "productRows",
    **dict.fromkeys(
        ("lead_stage_history", "deal_stage_history", "invoices", "deal_contacts"),
        "items",
    ),
}
_CLASSIC = {"leads", "deals", "contacts"}
_RENAMED = {"createdTime": "DATE_CREATE", "updatedTime": "DATE_MODIFY"}
_RENAMED_IN_LEADS = {"stageId": "STATUS_ID", "stageSemanticId": "STATUS_SEMANTIC_ID"}
_NAMES = ("NAME", "LAST_NAME", "SECOND_NAME")
_WORD = re.compile(r"[^\W\d_]{2,}")
_FUNNEL = re.compile(r"C(\d+):")
HIDDEN = "***"
KEPT = {"тест", "test"}  # by these words a title says that it is the firm's own try


def records(stream: Stream, content: Any) -> list[Record]:
    """The records of one answer of crm.*.list, crm.*.get, crm.item.* or batch.

    Raises ParseError for another shape, and for an answer of which a part failed.
    """
    if not isinstance(content, dict) or "result" not in content:
        raise ParseError(f"{stream.name}: the answer has no `result`")
    rows = rows_of(stream, content["result"])
    if stream.name == "deal_contacts":
        rows = [link for row in rows for link in _links(row)]
    if stream.name == "statuses":
        rows = [_status(row) for row in rows]
    rows = objects(stream, rows, stream.name)
    for key in {"ID", "id"} & set(stream.key):
        ids = list(map(itemgetter(key), rows))
        if not all(map(str.isdecimal, map(str, ids))):
            wrong = next(each for each in ids if not str(each).isdecimal())
            raise ParseError(f"{stream.name}: {key} {wrong!r} is not a number")
    if stream.name == "leads":
        for row in rows:
            _hide_names(row)
    return rows


def rows_of(stream: Stream, result: Any) -> list[Any]:
    """The rows in a `result`, as the vendor gave them but for their names' case."""
    inside = _INSIDE.get(stream.name)
    if isinstance(result, dict):
        if "result" in result:
            return _rows_of_batch(stream, result)
        if inside and isinstance(result.get(inside), list):
            return list(result[inside])
        if stream.name in _CLASSIC and ("item" in result or "items" in result):
            items = result.get("items", [result.get("item")])
            if not isinstance(items, list):
                raise ParseError(f"{stream.name}: `items` is no list")
            return [_classic(stream, item) for item in items]
        if inside == "items" and isinstance(result.get("item"), dict):
            return [result["item"]]
        if inside is None:
            return [result]
    if isinstance(result, list):
        return result
    raise ParseError(f"{stream.name}: `result` has another shape")


def _rows_of_batch(stream: Stream, result: Record) -> list[Any]:
    results, errors = batches.parts(result)
    if errors:
        raise ParseError(f"{stream.name}: in the batch failed: {', '.join(errors)}")
    rows: list[Any] = []
    for key, found in results.items():
        deal = key.removeprefix(batches.DEAL)
        if stream.name == "deal_products":
            if deal == key:
                raise ParseError(f"deal_products: {key} is no answer about a deal")
            inside = found if isinstance(found, dict) else {}
            rows.append(
                {**inside, "DEAL_ID": deal, "productRows": rows_of(stream, found)}
            )
            continue
        for row in rows_of(stream, found):
            if stream.name == "deal_contacts" and isinstance(row, dict) and deal != key:
                row["DEAL_ID"] = deal
            rows.append(row)
    return rows


def _status(row: Any) -> Any:
    """A stage of crm.dealcategory.stage.list, which leaves out whose it is.

    Its id begins with its funnel's number, but for the first funnel (README.md).
    """
    if not isinstance(row, dict) or row.keys() != {"NAME", "SORT", "STATUS_ID"}:
        return row
    funnel = _FUNNEL.match(str(row["STATUS_ID"]))
    of = f"DEAL_STAGE_{funnel[1]}" if funnel else "DEAL_STAGE"
    return {"ENTITY_ID": of, **row}


def _links(row: Any) -> list[Any]:
    """A deal's contacts as rows of their own: crm.item.list names them by id only."""
    if not isinstance(row, dict) or "contactIds" not in row:
        return [row]
    if "id" not in row or "contactId" not in row or row["contactIds"] is None:
        raise ParseError("deal_contacts: an item has no id, contactId or contactIds")
    contacts, primary = row["contactIds"], row["contactId"] or 0
    if not isinstance(contacts, list):
        raise ParseError("deal_contacts: contactIds is no list")
    if primary and primary not in contacts:
        raise RetriableError(
            f"deal_contacts: deal {row['id']} came without its contacts"
        )
    rest = {k: v for k, v in row.items() if k not in ("id", "contactId", "contactIds")}
    return [
        {
            **rest,
            "DEAL_ID": str(row["id"]),
            "CONTACT_ID": contact,
            "SORT": 10 * place,
            "IS_PRIMARY": "Y" if contact == primary else "N",
        }
        for place, contact in enumerate(contacts, start=1)
    ]


def _classic(stream: Stream, item: Any) -> Any:
    """An item of crm.item.* under the names of the older methods."""
    if not isinstance(item, dict):
        return item
    renamed = _RENAMED | (_RENAMED_IN_LEADS if stream.name == "leads" else {})
    row: Record = {}
    for name, value in item.items():
        if name == "fm":
            continue
        usual = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).upper()
        row[renamed.get(name, usual)] = value
    if "fm" in item:
        for kind in ("PHONE", "EMAIL"):
            row.pop(kind, None)  # the first of them once more
        for each in item["fm"] if isinstance(item["fm"], list) else ():
            if isinstance(each, dict) and each.get("typeId") in ("PHONE", "EMAIL"):
                names = {"id": "ID", "valueType": "VALUE_TYPE", "value": "VALUE"}
                multi = {names[k]: v for k, v in each.items() if k in names}
                row.setdefault(each["typeId"], []).append(
                    {**multi, "TYPE_ID": each["typeId"]}
                )
    return row


def _hide_names(row: Record) -> None:
    """Take the words of the lead's own name out of its title and comments.

    Phones and e-mails in them become tokens; a name there nobody could recognise but
    the record itself.
    """
    names = {
        _plain(word)
        for part in _NAMES
        if isinstance(row.get(part), str)
        for word in _WORD.findall(row[part])
    } - KEPT
    if not names:
        return
    for name in ("TITLE", "COMMENTS"):
        if isinstance(row.get(name), str):
            row[name] = _WORD.sub(
                lambda match: HIDDEN if _plain(match[0]) in names else match[0],
                row[name],
            )


def _plain(word: str) -> str:
    return word.lower().replace("ё", "е")
