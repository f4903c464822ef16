"""amoCRM's API v4 as the account of the group's second firm would answer it.

One amo lead is the firm's lead and, from its first deal stage on, its deal. The account
lives by Moscow time. What is imitated and where it was learned: README.md.
"""

from __future__ import annotations

import re
import threading
import zlib
from datetime import datetime, time
from itertools import pairwise
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from simulator.face import (
    Face,
    RateLimit,
    Request,
    Response,
    TokenDesk,
    json_response,
    text_response,
)
from simulator.world import roubles

if TYPE_CHECKING:
    from collections.abc import Callable

    from simulator.face import Options
    from simulator.world import Contact, Deal, Lead, StageChange, World

Row = dict[str, Any]

ACCOUNT_ID = 31000001
ACCOUNT_ZONE = ZoneInfo("Europe/Moscow")
MOST, MOST_EVENTS, USUAL = 250, 100, 50
WON, LOST = 142, 143
MARGIN, REFUND, REFUND_DATE, ORIGIN, COMMENT = 801001, 801003, 801005, 801007, 801009
_SOURCES = {"CALL": 9100001, "WEB": 9100003, "UC_CHAT": 9100005, "EMAIL": 9100007}
_FILTER = re.compile(r"filter\[(\w+)\](?:\[(\w*)\])?")
_TRACKING = (
    "UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM",
    "UTM_REFERRER", "ROISTAT", "REFERRER", "FROM", "_YM_UID", "_YM_COUNTER",
    "GCLIENTID", "GCLID", "YCLID", "FBCLID",
)  # fmt: skip
_OWN_FIELDS = {
    MARGIN: ("Маржа", "numeric"),
    REFUND: ("Сумма возврата", "numeric"),
    REFUND_DATE: ("Дата возврата", "date"),
    ORIGIN: ("utm_source", "text"),  # a name that tracking data has, too
    COMMENT: ("Комментарий", "textarea"),
}
_PATHS = {
    "/api/v4/leads": "leads",
    "/api/v4/contacts": "contacts",
    "/api/v4/events": "events",
    "/api/v4/leads/pipelines": "pipelines",
    "/api/v4/leads/loss_reasons": "loss_reasons",
    "/api/v4/leads/custom_fields": "custom_fields",
    "/api/v4/users": "users",
}
_COUNTED = ("pipelines", "loss_reasons", "custom_fields", "users")


class Simulator(Face):
    """One account. The limits may be moved by a test (or are off by Options)."""

    branch = "spb"
    desk: TokenDesk
    patience = 20  # refusals within a minute, then the address is banned

    def __init__(self, world: World, options: Options) -> None:
        super().__init__(world, options)
        self.desk = TokenDesk(options, "amocrm", seconds=86400, one_time=True)
        self.limit = RateLimit(7, seconds=1)
        self.anger = RateLimit(self.patience, seconds=60)
        self.is_banned = False
        self._lock = threading.Lock()
        self._tables: tuple[World | None, dict[str, list[Row]]] = (None, {})

    # -- transport ---------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer one request: a token, an object, or a page of a list."""
        if self.options.rate_limits and (refusal := self._too_much()):
            return refusal
        if request.path == "/oauth2/access_token":
            return self.desk.answer(request)
        given = request.headers.get("Authorization", "")
        is_lasting = given == f"Bearer {self.options.token('amocrm')}"
        if not (is_lasting or self.desk.accepts(request)):
            return _problem(401, "Unauthorized", "The token is not valid.")
        if request.method != "GET":
            return _problem(405, "Method Not Allowed", "Only reading is imitated.")
        if request.path == "/api/v4/account":
            return _hal({"id": ACCOUNT_ID, "subdomain": "kontur", "currency": "RUB"})
        name = _PATHS.get(request.path)
        path, _, number = request.path.rpartition("/")
        try:
            if name is not None:
                return self._page(name, request)
            if path in ("/api/v4/leads", "/api/v4/contacts") and number.isdecimal():
                return self._object(_PATHS[path], int(number), _with(request))
        except ValueError as error:
            return _problem(400, "Bad Request", str(error))
        return _problem(404, "Not Found", "No such resource.")

    def unauthorized(self, request: Request) -> Response:
        """The access token is over: 24 hours have passed."""
        self.desk.expire()
        return _problem(401, "Unauthorized", "The token has expired.")

    def _too_much(self) -> Response | None:
        if not self.is_banned and not self.limit.is_exceeded():
            return None
        if self.is_banned or self.anger.is_exceeded():
            self.is_banned = True
            page = "<html><body><h1>403 Forbidden</h1></body></html>"
            return text_response(page, 403, content_type="text/html")
        return _problem(429, "Too Many Requests", "Over 7 requests a second.")

    def _object(self, name: str, number: int, extras: set[str]) -> Response:
        for row in self._table(name):
            if row["id"] == number:
                return _hal(_shown(name, row, extras))
        return Response(204)

    def _page(self, name: str, request: Request) -> Response:
        extras = _with(request)
        table = "deleted_leads" if "only_deleted" in extras else name
        rows = [row for row in self._table(table) if _matches(row, request)]
        rows = _ordered(rows, request, "id" if name != "events" else None)
        most = MOST_EVENTS if name == "events" else MOST
        asked = min(int(request.param("limit") or USUAL), most)
        limit = self.options.rows_per_page("amocrm", asked)
        page = int(request.param("page") or 1)
        found = rows[(page - 1) * limit : page * limit]
        if not found:
            return Response(204)
        here = f"https://kontur.amocrm.ru{request.path}?limit={limit}&page="
        links = {"self": {"href": f"{here}{page}"}}
        if page * limit < len(rows):
            links["next"] = {"href": f"{here}{page + 1}"}
        content: Row = {"_page": page, "_links": links}
        if name in _COUNTED:
            content["_total_items"] = len(rows)
            content["_page_count"] = -(-len(rows) // limit)
        content["_embedded"] = {name: [_shown(name, row, extras) for row in found]}
        return _hal(content)

    # -- the firm as the account's tables --------------------------------------------

    def _table(self, name: str) -> list[Row]:
        view = self.view
        with self._lock:
            known, tables = self._tables
            if known is not view:
                tables = {}
                self._tables = (view, tables)
            if name not in tables:
                tables[name] = _TABLES[name](self.firm, view)
            return tables[name]


def _leads(firm: World, view: World) -> list[Row]:
    deals = {deal.lead_id: deal for deal in view.deals}
    pipelines = {row.owner_id: row.category_id for row in view.stage_changes}
    gone = {row["id"] for row in _deleted(firm, view)}
    contacts: dict[int, list[tuple[bool, int]]] = {}
    for link in view.deal_contacts:
        contacts.setdefault(link.deal_id, []).append((link.is_primary, link.contact_id))
    return [
        _lead(
            lead,
            deals.get(lead.lead_id),
            pipelines[lead.lead_id],
            contacts.get(lead.lead_id, []),
        )
        for lead in view.leads
        if lead.lead_id not in gone
    ]


def _lead(
    lead: Lead, deal: Deal | None, pipeline: int, linked: list[tuple[bool, int]]
) -> Row:
    now: Lead | Deal = deal or lead
    kopecks = deal.amount_kopecks if deal else lead.opportunity_kopecks
    status = int(deal.stage_id if deal else lead.status_id)
    closed = now.closed_at if status in (WON, LOST) else None
    if lead.contact_id is not None and lead.contact_id not in [c for _, c in linked]:
        linked = [*((False, each) for _, each in linked), (True, lead.contact_id)]
    reason = now.loss_reason if status == LOST else ""
    return {
        "id": lead.lead_id,
        "name": deal.title if deal else lead.title,
        "price": kopecks // 100,
        "responsible_user_id": now.manager_id,
        "group_id": 0,
        "status_id": status,
        "pipeline_id": deal.category_id if deal else pipeline,
        "loss_reason_id": _reason_id(reason) if reason else None,
        "source_id": _SOURCES.get(now.source_id),
        "created_by": 0,
        "updated_by": now.manager_id,
        "created_at": _unix(lead.created_at),
        "updated_at": max(_unix(lead.modified_at), _unix(now.modified_at)),
        "closed_at": None if closed is None else _unix(closed),
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": _lead_fields(lead, deal) or None,
        "score": None,
        "account_id": ACCOUNT_ID,
        "labor_cost": None,
        "is_price_modified_by_robot": False,
        "_embedded": {
            "tags": [],
            "companies": [],
            "contacts": [
                {"id": contact, "is_main": is_main, **_links("contacts", contact)}
                for is_main, contact in sorted(linked, reverse=True)
            ],
            "loss_reason": [_reason(reason)] if reason else [],
        },
    }


def _lead_fields(lead: Lead, deal: Deal | None) -> list[Row]:
    marks = {
        "UTM_SOURCE": lead.utm_source,
        "UTM_MEDIUM": lead.utm_medium,
        "UTM_CAMPAIGN": lead.utm_campaign,
        "UTM_CONTENT": lead.utm_content,
        "UTM_TERM": lead.utm_term,
        "_YM_UID": lead.ym_uid,
        "GCLIENTID": lead.ga_client_id,
        "GCLID": lead.gclid,
        "FBCLID": lead.fbclid,
    }
    if lead.is_test:  # the firm's own try of every mark there is
        marks = {name: marks.get(name) or "1" for name in _TRACKING}
        marks["REFERRER"] = marks["UTM_REFERRER"] = "https://teplo-sever.example/"
    found = [
        _field(700001 + 2 * _TRACKING.index(name), name, "tracking_data", value, name)
        for name, value in marks.items()
        if value
    ]
    own: dict[int, Any] = {COMMENT: lead.comments}
    if lead.utm_source:
        own[ORIGIN] = "сайт"
    if lead.is_test:
        own |= {REFUND: "0", REFUND_DATE: _unix(lead.created_at)}
    if deal is not None:
        if deal.margin_kopecks is not None:
            own[MARGIN] = roubles(deal.margin_kopecks)
        if deal.refund_kopecks is not None:
            own[REFUND] = roubles(deal.refund_kopecks)
        if deal.refund_date is not None:
            midnight = datetime.combine(deal.refund_date, time(), ACCOUNT_ZONE)
            own[REFUND_DATE] = _unix(midnight)
    return found + [
        _field(number, *_OWN_FIELDS[number], value)
        for number, value in own.items()
        if value not in (None, "")
    ]


def _field(
    number: int, name: str, kind: str, value: Any, code: str | None = None
) -> Row:
    """One custom field; `name` of tracking data is as cabinets show it."""
    return {
        "field_id": number,
        "field_name": name.lower() if code else name,
        "field_code": code,
        "field_type": kind,
        "values": [{"value": value}],
    }


def _contacts(firm: World, view: World) -> list[Row]:
    return [_contact(row) for row in view.contacts]


def _contact(row: Contact) -> Row:
    multi = [
        {
            "field_id": number,
            "field_name": name,
            "field_code": code,
            "field_type": "multitext",
            "values": [
                {
                    "value": value,
                    "enum_id": number + 2 + 2 * min(at, 1),
                    "enum_code": kinds[min(at, 1)],
                }
                for at, value in enumerate(values)
            ],
        }
        for number, name, code, values, kinds in (
            (600001, "Телефон", "PHONE", row.phones, ("WORK", "MOB")),
            (600101, "Email", "EMAIL", row.emails, ("WORK", "PRIV")),
        )
        if values
    ]
    is_split = bool(row.name and row.last_name)
    whole = (row.name, row.second_name, row.last_name)
    return {
        "id": row.contact_id,
        "name": " ".join(part for part in whole if part),
        "first_name": row.name if is_split else "",
        "last_name": row.last_name if is_split else "",
        "responsible_user_id": row.manager_id,
        "group_id": 0,
        "created_by": 0,
        "updated_by": row.manager_id,
        "created_at": _unix(row.created_at),
        "updated_at": _unix(row.modified_at),
        "closest_task_at": None,
        "is_deleted": False,
        "custom_fields_values": multi or None,
        "account_id": ACCOUNT_ID,
        "_embedded": {"tags": [], "companies": []},
    }


def _deleted(firm: World, view: World) -> list[Row]:
    """The trash; of a lead in it only the id and the moment are told."""
    found: dict[int, Row] = {}
    for lead_id, row in [(each.lead_id, each) for each in firm.leads] + [
        (each.lead_id or 0, each) for each in firm.deals
    ]:
        if row.deleted_at is not None and row.deleted_at <= view.now:
            found[lead_id] = {
                "id": lead_id,
                "updated_at": _unix(row.deleted_at),
                "updated_by": row.manager_id,
                "is_deleted": True,
            }
    return list(found.values())


def _events(firm: World, view: World) -> list[Row]:
    """What happened, newest first; of leads in the trash, too."""
    rows = []
    ways: dict[int, list[StageChange]] = {}
    for change in sorted(firm.stage_changes, key=lambda c: (c.at, c.entity == "deal")):
        if change.at <= view.now and not (
            change.entity == "lead" and change.semantic == "S"
        ):
            ways.setdefault(change.owner_id, []).append(change)
    for way in ways.values():
        for before, after in pairwise(way):
            sides = {
                f"value_{side}": [
                    {
                        "lead_status": {
                            "id": int(change.stage_id),
                            "pipeline_id": change.category_id,
                        }
                    }
                ]
                for side, change in (("after", after), ("before", before))
            }
            rows.append(
                _event("lead_status_changed", "lead", after.owner_id, after.at, sides)
            )
    for row in _deleted(firm, view):
        at = datetime.fromtimestamp(row["updated_at"], ACCOUNT_ZONE)
        rows.append(_event("lead_deleted", "lead", row["id"], at, {}))
    for card in firm.contacts:
        if card.merged_into and card.deleted_at and card.deleted_at <= view.now:
            rows.append(
                _event(
                    "entity_merged", "contact", card.merged_into, card.deleted_at, {}
                )
            )
    return sorted(rows, key=lambda row: (-row["created_at"], row["id"]))


def _event(kind: str, entity: str, number: int, at: datetime, sides: Row) -> Row:
    second = _unix(at)
    tail = zlib.crc32(f"{kind}{entity}{number}{sides}".encode())
    return {
        "id": f"01{second:010d}{tail:014d}",
        "type": kind,
        "entity_id": number,
        "entity_type": entity,
        "created_by": 0,
        "created_at": second,
        "value_after": [],
        "value_before": [],
        **sides,
        "account_id": ACCOUNT_ID,
        **_links("events", f"01{second:010d}{tail:014d}"),
        "_embedded": {"entity": {"id": number, **_links(f"{entity}s", number)}},
    }


def _pipelines(firm: World, view: World) -> list[Row]:
    first = {
        row.category_id: row.sort
        for row in sorted(view.statuses, key=lambda row: -row.sort)
    }
    return [
        {
            "id": category.category_id,
            "name": category.name,
            "sort": category.sort,
            "is_main": category.is_default,
            "is_unsorted_on": True,
            "is_archive": False,
            "account_id": ACCOUNT_ID,
            "_embedded": {
                "statuses": [
                    {
                        "id": int(status.status_id),
                        "name": status.name,
                        "sort": status.sort,
                        "is_editable": status.semantics is None,
                        "pipeline_id": category.category_id,
                        "color": status.color,
                        "type": int(status.sort == first[status.category_id]),
                        "account_id": ACCOUNT_ID,
                        **_links("leads/pipelines/statuses", status.status_id),
                    }
                    for status in view.statuses
                    if status.category_id == category.category_id
                ]
            },
        }
        for category in view.categories
    ]


def _loss_reasons(firm: World, view: World) -> list[Row]:
    texts = {row.loss_reason for row in firm.leads} | {
        row.loss_reason for row in firm.deals
    }
    return [_reason(text) for text in sorted(texts - {""})]


def _reason(text: str) -> Row:
    number = _reason_id(text)
    return {
        "id": number,
        "name": text,
        "sort": 100000,
        "created_at": 1760000000,
        "updated_at": 1760000000,
        **_links("leads/loss_reasons", number),
    }


def _reason_id(text: str) -> int:
    """Made of the text, so that every seed's firm has the same ids."""
    return 4_000_000 + zlib.crc32(text.encode()) % 1_000_000


def _users(firm: World, view: World) -> list[Row]:
    return [
        {
            "id": row.manager_id,
            "name": f"{row.name} {row.last_name}",
            "email": f"manager{row.manager_id}@teplo-sever.example",
            "lang": "ru",
            "rights": {"is_admin": row.manager_id == 1, "is_active": True},
            **_links("users", row.manager_id),
        }
        for row in view.managers
    ]


def _custom_fields(firm: World, view: World) -> list[Row]:
    own = [
        {"id": number, "name": name, "type": kind, "code": None}
        for number, (name, kind) in _OWN_FIELDS.items()
    ]
    return own + [
        {"id": 700001 + 2 * at, "name": code.lower(), "type": "tracking_data",
         "code": code}
        for at, code in enumerate(_TRACKING)
    ]  # fmt: skip


_TABLES: dict[str, Callable[[World, World], list[Row]]] = {
    "leads": _leads,
    "contacts": _contacts,
    "deleted_leads": _deleted,
    "events": _events,
    "pipelines": _pipelines,
    "loss_reasons": _loss_reasons,
    "users": _users,
    "custom_fields": _custom_fields,
}


# -- values as the vendor writes them ------------------------------------------------


def _shown(name: str, row: Row, extras: set[str]) -> Row:
    """A row with its links, and only what `with` asks for."""
    shown = {**row, **_links(name, row["id"])}
    if name == "leads" and "_embedded" in row:
        for extra in ("source_id", "is_price_modified_by_robot"):
            if extra not in extras:
                del shown[extra]
        shown["_embedded"] = {
            part: value
            for part, value in row["_embedded"].items()
            if part in ("tags", "companies") or part in extras
        }
    return shown


def _links(name: str, number: object) -> Row:
    href = f"https://kontur.amocrm.ru/api/v4/{name}/{number}"
    return {"_links": {"self": {"href": href}}}


def _unix(at: datetime) -> int:
    return int(at.timestamp())


def _with(request: Request) -> set[str]:
    return set((request.param("with") or "").split(","))


def _matches(row: Row, request: Request) -> bool:
    wanted: dict[str, set[str]] = {}
    for key, values in request.query.items():
        match = _FILTER.fullmatch(key)
        if match is None:
            continue
        name, bound = match[1], match[2]
        if name not in ("id", "type", "updated_at", "created_at"):
            raise ValueError(f"Filter {name} is not supported.")
        if bound == "from" and row[name] < int(values[0]):
            return False
        if bound == "to" and row[name] > int(values[0]):
            return False
        if bound not in ("from", "to"):
            wanted.setdefault(name, set()).update(
                each for value in values for each in value.split(",")
            )
    return all(str(row[name]) in each for name, each in wanted.items())


def _ordered(rows: list[Row], request: Request, usual: str | None) -> list[Row]:
    for name in ("created_at", "updated_at", "id"):
        direction = request.param(f"order[{name}]")
        if direction is not None:
            down = direction == "desc"
            return sorted(rows, key=lambda row: (row[name], row["id"]), reverse=down)
    return sorted(rows, key=lambda row: row[usual]) if usual else rows


def _hal(content: Row) -> Response:
    return json_response(content, 200, {"Content-Type": "application/hal+json"})


def _problem(status: int, title: str, detail: str) -> Response:
    content = {
        "title": title,
        "type": f"https://httpstatus.es/{status}",
        "status": status,
        "detail": detail,
    }
    kind = {"Content-Type": "application/problem+json"}
    return json_response(content, status, kind)


def change_records(content: Any, change: Callable[[Row], None]) -> Any:
    """Change each record of an answer, a pipeline's statuses, too (for tests)."""
    embedded = content.get("_embedded") if isinstance(content, dict) else None
    for name, rows in (embedded or {}).items():
        for row in rows if name != "custom_fields" else ():
            for status in (row.get("_embedded") or {}).get("statuses", []):
                change(status)
            change(row)
    return content
