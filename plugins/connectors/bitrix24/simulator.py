"""Bitrix24's REST API as the simulated company's portal would answer it.

Paths are those of an incoming webhook: `/rest/<user id>/<code>/<method>[.json]`. The
portal lives by Moscow time. What is imitated and where it was learned: README.md.
"""

from __future__ import annotations

import re
import threading
import time
from bisect import bisect_right
from datetime import date, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from simulator.face import Face, Request, Response, json_response
from simulator.world import roubles

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from simulator.face import Options
    from simulator.world import (
        Contact,
        Deal,
        DealContact,
        DealProduct,
        Invoice,
        Lead,
        World,
    )

Row = dict[str, Any]

PORTAL_ZONE = ZoneInfo("Europe/Moscow")
USER_ID = "1"
PAGE = 50
BATCH = 50
INVOICE_FUNNEL = 5
_INVOICE_STAGES = (
    ("N", "Новый", None),
    ("S", "Отправлен клиенту", None),
    ("P", "Оплачен", "S"),
    ("D", "Не оплачен", "F"),
)
_PATH = re.compile(
    r"(?:/rest)?/(?P<user>\d+)/(?P<code>[^/]+)/(?P<method>[\w.]+?)(\.json)?"
)
_PREFIX = re.compile(r"(>=|<=|!@|!=|=%|%=|>|<|!|@|%|=)?(.+)", re.DOTALL)
_MULTI = ("PHONE", "EMAIL", "WEB", "IM")
_TIMES = {
    "DATE_CREATE",
    "DATE_MODIFY",
    "DATE_CLOSED",
    "MOVED_TIME",
    "CREATED_TIME",
    "createdTime",
    "updatedTime",
    "movedTime",
}


class MethodError(Exception):
    """A method's own refusal: HTTP status, code (often empty) and text."""

    def __init__(self, status: int, code: str | int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text

    @property
    def content(self) -> Row:
        """The error as the portal writes it."""
        return {"error": self.code, "error_description": self.text}


class Simulator(Face):
    """One portal. The limits below may be moved by a test (or off by Options)."""

    drain_per_second = 2.0
    burst = 50
    operating_limit = 480.0  # seconds of method time in ten minutes
    operating_cost = 0.05  # seconds that one call of a method takes

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self._lock = threading.Lock()
        self._level = 0.0
        self._level_at = time.monotonic()
        self._operating: dict[str, float] = {}
        self._reset_at = 0.0
        self._tables: tuple[World | None, dict[str, list[Row]]] = (None, {})

    # -- transport ---------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one call of a method, or of `batch`."""
        path = _PATH.fullmatch(request.path)
        if path is None:
            return _error(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        code = self.options.token("bitrix24")
        if path["user"] != USER_ID or path["code"] != code:
            return self._bad_credentials()
        if self._overflows():
            return _error(503, "QUERY_LIMIT_EXCEEDED", "Too many requests")
        try:
            params = self._params(request)
            if path["method"] == "batch":
                content: Row = {"result": self._batch(params)}
                content["time"] = self._time("batch")
            else:
                content = self._call(path["method"], params)
        except MethodError as error:
            return json_response(error.content, error.status)
        return json_response(content)

    def unauthorized(self, request: Request) -> Response:
        """The webhook has been deleted or its date has passed."""
        return _error(401, "expired_token", "The access token provided has expired.")

    @staticmethod
    def _bad_credentials() -> Response:
        return _error(401, "INVALID_CREDENTIALS", "Invalid request credentials")

    @staticmethod
    def _params(request: Request) -> Row:
        if request.method == "GET" or not request.body.strip():
            return _php([(k, v) for k, all_ in request.query.items() for v in all_])
        if "json" not in request.headers.get("Content-Type", ""):
            return _php(parse_qsl(request.body.decode(), keep_blank_values=True))
        try:
            params = request.json()
        except ValueError:
            params = None
        if not isinstance(params, dict):
            raise MethodError(400, "INVALID_REQUEST", "Invalid request.")
        return params

    def _overflows(self) -> bool:
        """A leaky bucket: `burst` drops fit in, `drain_per_second` flow out."""
        if not self.options.rate_limits:
            return False
        with self._lock:
            now = time.monotonic()
            drained = (now - self._level_at) * self.drain_per_second
            self._level, self._level_at = max(0.0, self._level - drained), now
            if self._level + 1 > self.burst:
                return True
            self._level += 1
            return False

    def _spend(self, method: str) -> None:
        with self._lock:
            now = time.monotonic()
            if now >= self._reset_at:
                self._operating, self._reset_at = {}, now + 600
            spent = self._operating.get(method, 0.0)
            if self.options.rate_limits and spent > self.operating_limit:
                raise MethodError(
                    429,
                    "OPERATION_TIME_LIMIT",
                    "Method is blocked due to operation time limit.",
                )
            self._operating[method] = spent + self.operating_cost

    def _time(self, method: str) -> Row:
        now = self.options.now
        at = now.timestamp()
        return {
            "start": at,
            "finish": at + self.operating_cost,
            "duration": self.operating_cost,
            "processing": self.operating_cost / 2,
            "date_start": _moment(now),
            "date_finish": _moment(now),
            "operating_reset_at": int(at + max(self._reset_at - time.monotonic(), 0)),
            "operating": round(self._operating.get(method, 0.0), 6),
        }

    # -- methods -----------------------------------------------------------------

    def _call(self, method: str, params: Row) -> Row:
        methods: dict[str, Callable[[Row], Row]] = {
            "crm.lead.list": lambda p: self._list("leads", p),
            "crm.deal.list": lambda p: self._list("deals", p),
            "crm.contact.list": lambda p: self._list("contacts", p),
            "crm.lead.get": lambda p: self._get("leads", p),
            "crm.deal.get": lambda p: self._get("deals", p),
            "crm.contact.get": lambda p: self._get("contacts", p),
            "crm.status.list": lambda p: self._list("statuses", p, selects=False),
            "crm.category.list": self._categories,
            "crm.stagehistory.list": self._history,
            "crm.deal.contact.items.get": self._deal_contacts,
            "crm.item.list": self._items,
            "crm.item.productrow.list": self._product_rows,
            "crm.deal.fields": lambda p: self._fields("deals"),
            "crm.lead.fields": lambda p: self._fields("leads"),
        }
        if method not in methods:
            raise MethodError(404, "ERROR_METHOD_NOT_FOUND", "Method not found!")
        self._spend(method)
        return {**methods[method](params), "time": self._time(method)}

    def _list(self, table: str, params: Row, *, selects: bool = True) -> Row:
        rows, envelope = self._page(self._table(table), params)
        select = _strings(params.get("select"), "select") if selects else []
        if select and "*" not in select:
            wanted = {"ID", *select}
        else:
            wanted = {k for row in rows for k in row if k not in _MULTI} | {*select}
            if not selects:
                wanted = {k for row in rows for k in row}
            elif "UF_*" not in select and select:
                wanted = {k for k in wanted if not k.startswith("UF_")} | {*select}
        found = [{k: v for k, v in row.items() if k in wanted} for row in rows]
        return {"result": found, **envelope}

    def _get(self, table: str, params: Row) -> Row:
        wanted = str(params.get("id", params.get("ID", "")))
        for row in self._table(table):
            if row["ID"] == wanted:
                return {"result": {k: v for k, v in row.items() if v != []}}
        raise MethodError(400, "", "Not found")

    def _categories(self, params: Row) -> Row:
        if str(params.get("entityTypeId")) != "2":
            raise MethodError(400, "ENTITY_TYPE_NOT_SUPPORTED", "Not supported.")
        rows, envelope = self._page(self._table("categories"), {**params, "filter": {}})
        return {"result": {"categories": rows}, **envelope}

    def _history(self, params: Row) -> Row:
        table = {"1": "lead_history", "2": "deal_history"}.get(
            str(params.get("entityTypeId"))
        )
        if table is None:
            raise MethodError(400, 0, "Parameter 'entityTypeId' is not supported.")
        rows, envelope = self._page(self._table(table), params)
        return {"result": {"items": rows}, **envelope}

    def _items(self, params: Row) -> Row:
        table = {"2": "deal_items", "31": "invoices"}.get(
            str(params.get("entityTypeId"))
        )
        if table is None:
            raise MethodError(400, "NOT_FOUND", "Entity type is not found.")
        rows, envelope = self._page(self._table(table), params)
        select = _strings(params.get("select"), "select")
        if select and "*" not in select:
            kept = {"id", *select}
            rows = [{k: v for k, v in row.items() if k in kept} for row in rows]
        return {"result": {"items": rows}, **envelope}

    def _product_rows(self, params: Row) -> Row:
        conditions = params.get("filter") or {}
        owner = str(conditions.get("=ownerId", ""))
        if conditions.get("=ownerType") != "D" or not owner:
            text = "Required filter fields are missing: =ownerType, =ownerId."
            raise MethodError(400, "INVALID_ARG_VALUE", text)
        goods = {row["_DEAL"]: row["rows"] for row in self._table("product_rows")}
        if owner not in goods:
            raise MethodError(400, "NOT_FOUND", "Not found.")
        rows, envelope = self._page(goods[owner], params)
        return {"result": {"productRows": rows}, **envelope}

    def _deal_contacts(self, params: Row) -> Row:
        wanted = str(params.get("id", params.get("ID", "")))
        if not wanted.isdecimal() or int(wanted) < 1:
            text = "The parameter ownerEntityID is invalid or not defined."
            raise MethodError(400, "", text)
        if wanted not in {row["ID"] for row in self._table("deals")}:
            raise MethodError(400, "", "Not found.")
        found = [
            {k: v for k, v in row.items() if k != "_DEAL"}
            for row in self._table("deal_contacts")
            if row["_DEAL"] == wanted
        ]
        return {"result": found}

    def _fields(self, table: str) -> Row:
        names = {k for row in self._table(table)[:1] for k in row}
        content = {
            name: {
                "type": "string",
                "isDynamic": name.startswith("UF_"),
                "title": name,
                **({"listLabel": _LABELS[name]} if name in _LABELS else {}),
            }
            for name in sorted(names)
        }
        return {"result": content or []}

    def _batch(self, params: Row) -> Row:
        commands = params.get("cmd", {})
        if isinstance(commands, list):
            commands = {str(i): command for i, command in enumerate(commands)}
        if len(commands) > BATCH:
            text = "Max batch length exceeded"
            raise MethodError(400, "ERROR_BATCH_LENGTH_EXCEEDED", text)
        parts: dict[str, Row] = {
            name: {}
            for name in ("result", "result_error", "result_total", "result_next")
        }
        parts["result_time"] = {}
        for key, command in commands.items():
            method, _, query = str(command).partition("?")
            try:
                if method == "batch":
                    text = "Method is not allowed for batch usage"
                    raise MethodError(405, "ERROR_BATCH_METHOD_NOT_ALLOWED", text)
                answer = self._call(
                    method.removesuffix(".json"),
                    _php(parse_qsl(query, keep_blank_values=True)),
                )
            except MethodError as error:
                parts["result_error"][key] = error.content
                if str(params.get("halt", 0)) not in ("0", "", "False"):
                    break
                continue
            parts["result"][key] = answer["result"]
            parts["result_time"][key] = answer["time"]
            for name in ("total", "next"):
                if name in answer:
                    parts[f"result_{name}"][key] = answer[name]
        return {
            name: _as_php(part, loses_keys=name == "result_error")
            for name, part in parts.items()
        }

    def _page(self, rows: list[Row], params: Row) -> tuple[list[Row], Row]:
        conditions = params.get("filter") or {}
        if not isinstance(conditions, dict):
            raise MethodError(400, "", "Parameter 'filter' must be array.")
        size = self.options.rows_per_page("bitrix24", PAGE)
        start = int(params.get("start") or 0)
        order = params.get("order") or {}
        if not isinstance(order, dict):
            raise MethodError(400, "", "Parameter 'order' must be array.")
        rows = _ordered(rows, order)
        if start == -1:
            return list(islice(_matching(rows, conditions), size)), {"total": 0}
        found = list(_matching(rows, conditions))
        page = found[start : start + size]
        envelope: Row = {"total": len(found)}
        if start + size < len(found):
            envelope = {"next": start + size, **envelope}
        return page, envelope

    # -- the company as the portal's tables ----------------------------------------

    def _table(self, name: str) -> list[Row]:
        view = self.view
        with self._lock:
            known, tables = self._tables
            if known is not view:
                tables = {}
                self._tables = (view, tables)
            if name not in tables:
                tables[name] = _TABLES[name](view)
            return tables[name]


def _lead(row: Lead) -> Row:
    return {
        "ID": str(row.lead_id),
        "TITLE": row.title,
        "HONORIFIC": None,
        "NAME": row.name or None,
        "SECOND_NAME": row.second_name or None,
        "LAST_NAME": row.last_name or None,
        "COMPANY_ID": "0",
        "CONTACT_ID": _id(row.contact_id),
        "IS_RETURN_CUSTOMER": _yes(row.is_return_customer),
        "SOURCE_ID": row.source_id,
        "SOURCE_DESCRIPTION": None,
        "STATUS_ID": row.status_id,
        "STATUS_SEMANTIC_ID": row.semantic,
        "COMMENTS": row.comments or None,
        "CURRENCY_ID": row.currency,
        "OPPORTUNITY": _money(row.opportunity_kopecks),
        "HAS_PHONE": _yes(bool(row.phones)),
        "HAS_EMAIL": _yes(bool(row.emails)),
        "ASSIGNED_BY_ID": str(row.manager_id),
        "DATE_CREATE": _moment(row.created_at),
        "DATE_MODIFY": _moment(row.modified_at),
        "DATE_CLOSED": _moment(row.closed_at),
        "MOVED_TIME": _moment(row.moved_at),
        **_utm(row),
        "UF_CRM_YM_CLIENT_ID": row.ym_client_id,
        **_multi(row.lead_id, row.phones, row.emails),
    }


def _deal(row: Deal) -> Row:
    closes = row.planned_close
    if row.closed_at is not None:
        closes = row.closed_at.astimezone(PORTAL_ZONE).date()
    return {
        "ID": str(row.deal_id),
        "TITLE": row.title,
        "TYPE_ID": "SALE",
        "CATEGORY_ID": str(row.category_id),
        "STAGE_ID": row.stage_id,
        "STAGE_SEMANTIC_ID": row.semantic,
        "CURRENCY_ID": row.currency,
        "OPPORTUNITY": _money(row.amount_kopecks),
        "LEAD_ID": _id(row.lead_id),
        "COMPANY_ID": "0",
        "CONTACT_ID": _id(row.contact_id),
        "BEGINDATE": _day(row.created_at.astimezone(PORTAL_ZONE).date()),
        "CLOSEDATE": _day(closes),
        "CLOSED": _yes(row.closed),
        "IS_RETURN_CUSTOMER": _yes(row.is_return_customer),
        "ASSIGNED_BY_ID": str(row.manager_id),
        "SOURCE_ID": row.source_id,
        "DATE_CREATE": _moment(row.created_at),
        "DATE_MODIFY": _moment(row.modified_at),
        "MOVED_TIME": _moment(row.moved_at),
        **_utm(row),
        "UF_CRM_MARGIN": _money(row.margin_kopecks),
        "UF_CRM_REFUND_AMOUNT": _money(row.refund_kopecks),
        "UF_CRM_REFUND_DATE": _day(row.refund_date),
        "UF_CRM_YM_CLIENT_ID": row.ym_client_id,
    }


def _contact(row: Contact) -> Row:
    return {
        "ID": str(row.contact_id),
        "HONORIFIC": None,
        "NAME": row.name or None,
        "SECOND_NAME": row.second_name or None,
        "LAST_NAME": row.last_name or None,
        "TYPE_ID": "CLIENT",
        "COMPANY_ID": "0",
        "LEAD_ID": _id(row.lead_id),
        "HAS_PHONE": _yes(bool(row.phones)),
        "HAS_EMAIL": _yes(bool(row.emails)),
        "ASSIGNED_BY_ID": str(row.manager_id),
        "DATE_CREATE": _moment(row.created_at),
        "DATE_MODIFY": _moment(row.modified_at),
        **_multi(row.contact_id, row.phones, row.emails),
    }


def _history(world: World, entity: str) -> list[Row]:
    rows = []
    for change in world.stage_changes:
        if change.entity != entity:
            continue
        row: Row = {
            "ID": change.id,
            "TYPE_ID": change.type_id,
            "OWNER_ID": change.owner_id,
            "CREATED_TIME": _moment(change.at),
        }
        if entity == "deal":
            row["CATEGORY_ID"] = change.category_id
            row["STAGE_SEMANTIC_ID"] = change.semantic
            row["STAGE_ID"] = change.stage_id
        else:
            row["STATUS_SEMANTIC_ID"] = change.semantic
            row["STATUS_ID"] = change.stage_id
        rows.append(row)
    return _by_id(rows)


def _statuses(world: World) -> list[Row]:
    words = {"S": "success", "F": "failure", None: "process"}
    rows = [
        {
            "ID": str(row.id),
            "ENTITY_ID": row.entity_id,
            "STATUS_ID": row.status_id,
            "NAME": row.name,
            "NAME_INIT": row.name if row.semantics else "",
            "SORT": str(row.sort),
            "SYSTEM": _yes(row.semantics is not None),
            "CATEGORY_ID": _id(row.category_id),
            "COLOR": row.color,
            "SEMANTICS": row.semantics,
            "EXTRA": {"SEMANTICS": words[row.semantics], "COLOR": row.color},
        }
        for row in world.statuses
    ]
    rows += [
        {
            "ID": str(900 + place),
            "ENTITY_ID": f"SMART_INVOICE_STAGE_{INVOICE_FUNNEL}",
            "STATUS_ID": f"DT31_{INVOICE_FUNNEL}:{letter}",
            "NAME": name,
            "NAME_INIT": name,
            "SORT": str(place * 10),
            "SYSTEM": "Y",
            "CATEGORY_ID": str(INVOICE_FUNNEL),
            "COLOR": "#39A8EF",
            "SEMANTICS": semantics,
            "EXTRA": {"SEMANTICS": words[semantics], "COLOR": "#39A8EF"},
        }
        for place, (letter, name, semantics) in enumerate(_INVOICE_STAGES, start=1)
    ]
    return _by_id(rows)


def _invoice(row: Invoice) -> Row:
    letters = {"new": "N", "sent": "S", "paid": "P", "cancelled": "D"}
    return {
        "id": row.invoice_id,
        "title": f"Счёт № {row.number}",
        "accountNumber": row.number,
        "categoryId": INVOICE_FUNNEL,
        "stageId": f"DT31_{INVOICE_FUNNEL}:{letters[row.stage]}",
        "opportunity": row.amount_kopecks / 100,
        "currencyId": "RUB",
        "parentId2": row.deal_id,
        "contactId": 0,
        "assignedById": int(USER_ID),
        "begindate": _day(row.created_at.astimezone(PORTAL_ZONE).date()),
        "closedate": _day(row.created_at.astimezone(PORTAL_ZONE).date()),
        "createdTime": _moment(row.created_at),
        "updatedTime": _moment(row.modified_at),
        "movedTime": _moment(row.paid_at or row.modified_at),
    }


def _deal_items(world: World) -> list[Row]:
    """Deals as crm.item.list has them: with all contacts, the primary one first."""
    links: dict[int, list[DealContact]] = {}
    for link in world.deal_contacts:
        links.setdefault(link.deal_id, []).append(link)
    return [
        {
            "id": deal.deal_id,
            "title": deal.title,
            "stageId": deal.stage_id,
            "opportunity": deal.amount_kopecks / 100,
            "contactId": deal.contact_id or 0,
            "contactIds": [
                link.contact_id
                for link in sorted(
                    links.get(deal.deal_id, ()),
                    key=lambda x: (not x.is_primary, x.sort),
                )
            ],
            "entityTypeId": 2,
        }
        for deal in sorted(world.deals, key=lambda deal: deal.deal_id)
    ]


def _goods(world: World) -> list[Row]:
    """The lines of goods of every deal, by deal."""
    lines: dict[int, list[Row]] = {deal.deal_id: [] for deal in world.deals}
    for line in sorted(world.products, key=lambda line: line.row_id):
        if line.deal_id in lines:
            lines[line.deal_id].append(_product_row(line))
    return [{"_DEAL": str(deal), "rows": rows} for deal, rows in lines.items()]


def _product_row(row: DealProduct) -> Row:
    return {
        "id": row.row_id,
        "ownerId": row.deal_id,
        "ownerType": "D",
        "productId": row.product_id,
        "productName": row.name,
        "price": row.price_kopecks / 100,
        "priceExclusive": row.price_kopecks / 100,
        "quantity": row.quantity,
        "discountSum": 0,
        "taxRate": None,
        "taxIncluded": "N",
        "measureName": "шт",
        "sort": 10,
    }


def _categories(world: World) -> list[Row]:
    return [
        {
            "id": row.category_id,
            "name": row.name,
            "sort": row.sort,
            "entityTypeId": 2,
            "isDefault": _yes(row.is_default),
            **({} if row.is_default else {"originId": "", "originatorId": ""}),
        }
        for row in world.categories
    ]


def _links(world: World) -> list[Row]:
    return [
        {
            "_DEAL": str(row.deal_id),
            "CONTACT_ID": row.contact_id,
            "SORT": row.sort,
            "ROLE_ID": 0,
            "IS_PRIMARY": _yes(row.is_primary),
        }
        for row in world.deal_contacts
    ]


_TABLES: dict[str, Callable[[World], list[Row]]] = {
    "leads": lambda world: _by_id(_lead(row) for row in world.leads),
    "deals": lambda world: _by_id(_deal(row) for row in world.deals),
    "contacts": lambda world: _by_id(_contact(row) for row in world.contacts),
    "lead_history": lambda world: _history(world, "lead"),
    "deal_history": lambda world: _history(world, "deal"),
    "statuses": _statuses,
    "categories": _categories,
    "deal_contacts": _links,
    "deal_items": _deal_items,
    "invoices": lambda world: sorted(
        map(_invoice, world.invoices), key=lambda row: int(row["id"])
    ),
    "product_rows": _goods,
}
_LABELS = {
    "UF_CRM_MARGIN": "Маржа",
    "UF_CRM_REFUND_AMOUNT": "Сумма возврата",
    "UF_CRM_REFUND_DATE": "Дата возврата",
    "UF_CRM_YM_CLIENT_ID": "yaclientid",
}


# -- values as the portal writes them ----------------------------------------------


def _id(value: int | None) -> str | None:
    return None if value is None else str(value)


def _yes(value: bool) -> str:
    return "Y" if value else "N"


def _money(kopecks: int | None) -> str | None:
    return None if kopecks is None else roubles(kopecks)


def _moment(at: datetime | None) -> str:
    """ISO with the portal's offset, whole seconds; an empty one is ""."""
    if at is None:
        return ""
    return at.astimezone(PORTAL_ZONE).replace(microsecond=0).isoformat()


def _day(day: date | None) -> str:
    """A date field comes as midnight UTC in the portal's offset."""
    return "" if day is None else f"{day.isoformat()}T03:00:00+03:00"


def _utm(row: Lead | Deal) -> Row:
    return {
        "UTM_SOURCE": row.utm_source,
        "UTM_MEDIUM": row.utm_medium,
        "UTM_CAMPAIGN": row.utm_campaign,
        "UTM_CONTENT": row.utm_content,
        "UTM_TERM": row.utm_term,
    }


def _multi(owner: int, phones: tuple[str, ...], emails: tuple[str, ...]) -> Row:
    """Multi-fields; an owner without any has no such key at all."""
    found: Row = {}
    for kind, values in (("PHONE", phones), ("EMAIL", emails)):
        if values:
            found[kind] = [
                {
                    "ID": str(owner * 20 + (10 if kind == "EMAIL" else 0) + i),
                    "VALUE_TYPE": "WORK" if i == 0 else "OTHER",
                    "VALUE": value,
                    "TYPE_ID": kind,
                }
                for i, value in enumerate(values)
            ]
    return found


def _by_id(rows: Iterable[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: int(row["ID"]))


# -- filter, order, PHP ------------------------------------------------------------


def _ordered(rows: list[Row], order: Mapping[str, Any]) -> list[Row]:
    """Rows in the asked order; they lie by ID, which is the common wish."""
    for name, direction in reversed(list(order.items())):
        down = str(direction).upper() == "DESC"
        if name.upper() == "ID" and len(order) == 1:
            rows = rows[::-1] if down else rows
            continue
        name_ = name
        rows = sorted(rows, key=lambda row: _value(name_, row.get(name_)), reverse=down)
    return rows


def _matching(rows: list[Row], conditions: Mapping[str, Any]) -> Iterator[Row]:
    tests = []
    for key, wanted in conditions.items():
        match = _PREFIX.fullmatch(key)
        if match is None or (rows and match[2] not in rows[0]):
            continue  # the portal passes over a field it does not know
        operator, name = match[1] or "=", match[2]
        if name in ("ID", "id") and operator in (">", "<=") and _is_by_id(rows, name):
            place = bisect_right([int(row[name]) for row in rows], int(wanted))
            rows = rows[place:] if operator == ">" else rows[:place]
            continue
        tests.append((name, operator, _wanted(name, wanted)))
    for row in rows:
        if all(_holds(_value(n, row.get(n)), op, wanted) for n, op, wanted in tests):
            yield row


def _is_by_id(rows: list[Row], name: str) -> bool:
    return len(rows) < 2 or int(rows[0][name]) < int(rows[-1][name])


def _wanted(name: str, wanted: Any) -> Any:
    if isinstance(wanted, dict):
        wanted = list(wanted.values())
    if isinstance(wanted, list):
        return [_value(name, each) for each in wanted]
    return _value(name, wanted)


def _value(name: str, value: Any) -> Any:
    if value is None or value == "":
        return (0, "")
    if name in _TIMES or name == "CLOSEDATE":
        at = datetime.fromisoformat(str(value))
        if at.tzinfo is None:
            at = at.replace(tzinfo=PORTAL_ZONE)
        return (1, at.timestamp())
    text = str(value)
    return (1, int(text)) if text.lstrip("-").isdecimal() else (2, text)


def _holds(value: Any, operator: str, wanted: Any) -> bool:
    if operator in ("@", "=") and isinstance(wanted, list):
        return value in wanted
    if operator in ("!@", "!", "!=") and isinstance(wanted, list):
        return value not in wanted
    if operator in ("=", "@"):
        return bool(value == wanted)
    if operator in ("!", "!=", "!@"):
        return bool(value != wanted)
    if operator in ("%", "=%", "%="):
        return str(wanted[1]).strip("%").lower() in str(value[1]).lower()
    if value[0] == 0:
        return False  # an empty field is neither more nor less
    if operator == ">":
        return bool(value > wanted)
    if operator == ">=":
        return bool(value >= wanted)
    if operator == "<":
        return bool(value < wanted)
    return bool(value <= wanted)


def _strings(value: Any, name: str) -> list[str]:
    if value is None:
        return []
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        raise MethodError(400, "", f"Parameter '{name}' must be array.")
    return [str(each) for each in value]


def _php(pairs: Iterable[tuple[str, str]]) -> Row:
    """`filter[>ID]=5&select[]=ID` as PHP reads it."""
    found: Row = {}
    for name, value in pairs:
        head, *rest = re.split(r"\]?\[", name.removesuffix("]"))
        here: Any = found
        path = [head, *rest]
        for part in path[:-1]:
            here = here.setdefault(part if part else str(len(here)), {})
        last = path[-1]
        here[last if last else str(len(here))] = value
    return found


def _as_php(part: Row, *, loses_keys: bool) -> Any:
    """A PHP array as JSON: a map, or a list when its keys are 0, 1, 2…

    An empty one is `[]`. Errors under numeric keys are renumbered, so that nobody can
    tell which command failed.
    """
    if loses_keys and all(key.isdecimal() for key in part):
        return list(part.values())
    if [str(i) for i in range(len(part))] == list(part):
        return list(part.values())
    return part


def _error(status: int, code: str, text: str) -> Response:
    return json_response({"error": code, "error_description": text}, status)


def change_records(content: Any, change: Callable[[Row], None]) -> Any:
    """Change each record of an answer, as the connector names its fields (for tests)."""
    result = content.get("result") if isinstance(content, dict) else None
    if isinstance(result, dict) and isinstance(result.get("result"), dict):
        result["result"] = {
            new: part
            for key, part in result["result"].items()
            for new in [_change_part(key, part, change)]
        }
    else:
        _change_part("", result, change)
    return content


def _change_part(key: str, part: Any, change: Callable[[Row], None]) -> str:
    """Change the records of a list; the name of its command, which may hold an id."""
    if isinstance(part, dict) and "productRows" in part:
        owner = key.removeprefix("deal_")
        part["DEAL_ID"] = owner
        change(part)
        return f"deal_{part.pop('DEAL_ID', owner)}"
    if isinstance(part, dict):
        part = part.get("items") or part.get("categories") or []
    for row in part if isinstance(part, list) else []:
        if "contactIds" not in row:
            change(row)
        elif row["contactIds"]:
            _change_links(row, change)
    return key


def _change_links(row: Row, change: Callable[[Row], None]) -> None:
    """Change a deal's first contact as the record that is made of it."""
    first, *rest = row.pop("contactIds")
    record = {"DEAL_ID": row.pop("id"), "CONTACT_ID": first}
    record["IS_PRIMARY"] = row.pop("contactId")
    record["SORT"] = 10
    change(record)
    record.pop("SORT", None)
    if "CONTACT_ID" in record:
        contact = record.pop("CONTACT_ID")
        row["contactIds"] = [contact, *rest]
        if record.get("IS_PRIMARY") == first:
            record["IS_PRIMARY"] = contact
    names = {"DEAL_ID": "id", "IS_PRIMARY": "contactId"}
    row.update({names.get(name, name): value for name, value in record.items()})
