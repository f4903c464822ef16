"""Bitrix24 CRM: leads, deals, contacts, dictionaries and the history of stages."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
from pydantic import BaseModel, ConfigDict
from pydantic import Field as Setting

from connectors.base.batch import Batch, JsonBatch
from connectors.base.connector import (
    Account,
    Answer,
    Auth,
    ConnectionInfo,
    Connector,
    Limits,
    Record,
    Stream,
    Window,
)
from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.redaction import excerpt
from connectors.base.stream import fields

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import date
    from zoneinfo import ZoneInfo

PAGE = 50  # fixed by the vendor
BATCH = 50
HISTORY_OVERLAP = 50  # ids read again: a row may become visible after a later one
ASK_AGAIN = 2.0  # seconds between tries of commands that a batch lost
ASK_BUDGET = 60.0

_NAMES = ("NAME", "LAST_NAME", "SECOND_NAME")
_UTM = ("UTM_SOURCE", "UTM_MEDIUM", "UTM_CAMPAIGN", "UTM_CONTENT", "UTM_TERM")


def _created(field: str) -> Any:
    def day(record: Mapping[str, Any], zone: ZoneInfo) -> date | None:
        return datetime.fromisoformat(str(record[field])).astimezone(zone).date()

    return day


LEADS = Stream(
    name="leads",
    kind="entity",
    key=("ID",),
    date_field="DATE_CREATE",
    date_of=_created("DATE_CREATE"),
    required_fields=("ID", "STATUS_ID", "DATE_CREATE"),
    fields=fields(
        "STATUS_ID", "STATUS_SEMANTIC_ID", "SOURCE_ID", "OPPORTUNITY", "CURRENCY_ID",
        "DATE_CREATE", "DATE_MODIFY", "DATE_CLOSED", "MOVED_TIME",
        "IS_RETURN_CUSTOMER", *_UTM,
        ids=("ID", "CONTACT_ID", "ASSIGNED_BY_ID"),
        text=("TITLE", "COMMENTS"),
        phone=("PHONE",), email=("EMAIL",), name=_NAMES,
    ),
)  # fmt: skip
DEALS = Stream(
    name="deals",
    kind="entity",
    key=("ID",),
    date_field="DATE_CREATE",
    date_of=_created("DATE_CREATE"),
    amount_field="OPPORTUNITY",
    required_fields=("ID", "STAGE_ID", "OPPORTUNITY", "DATE_CREATE"),
    fields=fields(
        "STAGE_ID", "STAGE_SEMANTIC_ID", "OPPORTUNITY", "CURRENCY_ID", "CLOSEDATE",
        "CLOSED", "DATE_CREATE", "DATE_MODIFY", "MOVED_TIME", "SOURCE_ID",
        "IS_RETURN_CUSTOMER", *_UTM,
        ids=("ID", "CATEGORY_ID", "LEAD_ID", "CONTACT_ID", "ASSIGNED_BY_ID"),
        text=("TITLE",),
    ),
)  # fmt: skip
CONTACTS = Stream(
    name="contacts",
    kind="entity",
    key=("ID",),
    date_field="DATE_CREATE",
    date_of=_created("DATE_CREATE"),
    required_fields=("ID", "DATE_CREATE"),
    fields=fields(
        "DATE_CREATE", "DATE_MODIFY",
        ids=("ID", "LEAD_ID", "ASSIGNED_BY_ID"),
        phone=("PHONE",), email=("EMAIL",), name=_NAMES,
    ),
)  # fmt: skip
DEAL_CONTACTS = Stream(
    name="deal_contacts",
    kind="snapshot",
    key=("DEAL_ID", "CONTACT_ID"),
    required_fields=("DEAL_ID", "CONTACT_ID", "IS_PRIMARY"),
    fields=fields("SORT", "IS_PRIMARY", ids=("DEAL_ID", "CONTACT_ID", "ROLE_ID")),
)
STATUSES = Stream(
    name="statuses",
    kind="snapshot",
    key=("ENTITY_ID", "STATUS_ID"),
    required_fields=("ENTITY_ID", "STATUS_ID", "NAME"),
    fields=fields(
        "NAME", "NAME_INIT", "SORT", "SYSTEM", "COLOR", "SEMANTICS", "EXTRA",
        ids=("ID", "ENTITY_ID", "STATUS_ID", "CATEGORY_ID"),
    ),
)  # fmt: skip
DEAL_CATEGORIES = Stream(
    name="deal_categories",
    kind="snapshot",
    key=("id",),
    required_fields=("id", "name"),
    fields=fields(
        "name", "sort", "entityTypeId", "isDefault",
        ids=("id", "originId", "originatorId"),
    ),
)  # fmt: skip
DEAL_STAGE_HISTORY = Stream(
    name="deal_stage_history",
    kind="entity",
    key=("ID",),
    date_field="CREATED_TIME",
    date_of=_created("CREATED_TIME"),
    required_fields=("ID", "OWNER_ID", "CREATED_TIME", "STAGE_ID"),
    fields=fields(
        "TYPE_ID", "CREATED_TIME", "STAGE_ID", "STAGE_SEMANTIC_ID",
        ids=("ID", "OWNER_ID", "CATEGORY_ID"),
    ),
)  # fmt: skip
LEAD_STAGE_HISTORY = replace(
    DEAL_STAGE_HISTORY,
    name="lead_stage_history",
    required_fields=("ID", "OWNER_ID", "CREATED_TIME", "STATUS_ID"),
    fields=fields(
        "TYPE_ID", "CREATED_TIME", "STATUS_ID", "STATUS_SEMANTIC_ID",
        ids=("ID", "OWNER_ID"),
    ),
)  # fmt: skip

_LISTS = {
    "leads": "crm.lead.list",
    "deals": "crm.deal.list",
    "contacts": "crm.contact.list",
}
_HISTORIES = {"lead_stage_history": 1, "deal_stage_history": 2}
_INSIDE = {
    "deal_categories": "categories",
    "deal_stage_history": "items",
    "lead_stage_history": "items",
}
_WHAT_TO_DO = {
    "OVERLOAD_LIMIT": "the vendor has blocked the portal's REST by hand: ask its support",
    "PORTAL_DELETED": "the portal is gone: take the account out of sources.yml",
    "insufficient_scope": "tick the right `crm` in the webhook's settings",
    "ACCESS_DENIED": "the portal's plan has no REST API, or the webhook's owner may not "
    "read the CRM: ask the portal's administrator",
    "user_access_error": "the webhook's owner has no access: ask the administrator",
}


class Fields(BaseModel):
    """Which custom fields of a deal (code UF_CRM_…) hold what we ask for."""

    model_config = ConfigDict(extra="forbid")

    margin: str | None = Setting(default=None, pattern=r"^UF_CRM_\w+$")
    refund_amount: str | None = Setting(default=None, pattern=r"^UF_CRM_\w+$")
    refund_date: str | None = Setting(default=None, pattern=r"^UF_CRM_\w+$")
    ym_client_id: str | None = Setting(default=None, pattern=r"^UF_CRM_\w+$")


class Bitrix24(Connector):
    """Reads a portal through an incoming webhook, one request at a time.

    Objects come in the order of their ids, 50 a page, after the last id seen, so that
    nothing moves between pages; a short page counts as the last one only when the
    portal also says that nothing is left. The portal's own clock, as its first answer
    gives it, bounds a read and is where the next one starts.
    """

    name = "bitrix24"
    base_url = "https://*.bitrix24.ru/rest"
    streams = (
        LEADS,
        DEALS,
        CONTACTS,
        DEAL_CONTACTS,
        STATUSES,
        DEAL_CATEGORIES,
        DEAL_STAGE_HISTORY,
        LEAD_STAGE_HISTORY,
    )
    connection_help: ClassVar[Mapping[str, str]] = {
        "login": "the number after /rest/ in the webhook's address (its owner's id)",
        "password": "the webhook's code: the part of its address after that number",
    }
    if_refused = (
        "make a new incoming webhook with the right `crm` (Applications, Developer "
        "resources, Other) and put its code into the field password of the connection"
    )
    limits = Limits(
        requests_per_second=2, burst=50, retry_after_most=600, wait_budget=1200
    )
    # Whose records hold keys of this stream, and in which field.
    dependants: ClassVar[dict[str, tuple[tuple[str, str], ...]]] = {
        "contacts": (("deals", "CONTACT_ID"), ("leads", "CONTACT_ID")),
        "leads": (("deals", "LEAD_ID"),),
    }
    # When a method's time is up: (label of the request) -> moment of our clock.
    _reset_at: ClassVar[dict[str, float]] = {}

    class Settings(BaseModel):
        """`fields` maps custom fields; the limits are those of the portal's plan."""

        model_config = ConfigDict(extra="forbid")

        fields: Fields = Fields()
        requests_per_second: float = Setting(default=2, gt=0)
        burst: int = Setting(default=50, ge=1)

    def __init__(
        self, account: Account, connection: ConnectionInfo, client: Any
    ) -> None:
        super().__init__(account, connection, client)
        self._mapped = self.Settings.model_validate(account.settings).fields
        self._read_at: dict[str, datetime] = {}
        self._last_id: dict[str, int] = {}

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """The webhook's owner and code are a part of every path."""
        del account
        return Auth(
            path=f"{connection.login}/{connection.password}",
            secrets=(connection.password,),
        )

    @classmethod
    def limits_of(cls, account: Account) -> Limits:
        """The leaky bucket of the portal's plan (settings), else of the common one."""
        given = cls.Settings.model_validate(account.settings)
        return replace(
            cls.limits,
            requests_per_second=given.requests_per_second,
            burst=given.burst,
        )

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """The streams with the account's own custom fields declared."""
        mapped = cls.Settings.model_validate(account.settings).fields
        return tuple(_with_custom(stream, mapped) for stream in cls.streams)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """The portal's own errors; a code may be empty, the status may be 200."""
        content = answer.json_or_none()
        if not isinstance(content, dict):
            return None
        if "error" not in content:
            cls._remember_reset(answer.label, content)
            return None
        code = str(content["error"])
        said = f"{answer.label}: {answer.status} {excerpt(answer.body)}"
        if code == "QUERY_LIMIT_EXCEEDED":
            return RetriableError(said, retry_after=answer.retry_after)
        if code == "OPERATION_TIME_LIMIT":
            reset_at = cls._reset_at.get(answer.label, time.monotonic() + 60)
            wait = max(reset_at - time.monotonic(), 1)
            return RetriableError(said, retry_after=wait)
        if code in _WHAT_TO_DO:
            return FatalError(f"{said}; {_WHAT_TO_DO[code]}")
        if answer.status in (401, 403, 429) or answer.status >= 500:
            return None
        return FatalError(said)

    @classmethod
    def _remember_reset(cls, label: str, content: Record) -> None:
        times = content.get("time")
        if isinstance(times, dict) and times.get("operating_reset_at"):
            left = float(times["operating_reset_at"]) - float(times.get("finish") or 0)
            if 0 <= left <= 3600:
                cls._reset_at[label] = time.monotonic() + left

    # -- reading -----------------------------------------------------------------

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Every page of a stream. Entities: what was changed since the cursor."""
        del window
        name = stream.name
        if name in _LISTS:
            yield from self._changed(stream, cursor)
        elif name in _HISTORIES:
            yield from self._history(stream, cursor)
        elif name == "deal_contacts":
            yield from self._deal_contacts(stream)
        elif name == "statuses":
            yield from self._whole(stream, "crm.status.list", {"order": {"ID": "ASC"}})
        else:
            yield from self._whole(stream, "crm.category.list", {"entityTypeId": 2})

    def keys(self, stream: Stream) -> Iterator[list[str]]:
        """Ids of all live objects (leads, deals, contacts), 50 at a time."""
        if stream.name not in _LISTS:
            raise NotImplementedError(f"{stream.name} is only ever added to")
        method, select = _LISTS[stream.name], {"select": ["ID"]}
        for rows in self._by_id(stream, method, select, {}, whole=False):
            yield [str(row["ID"]) for row in rows]

    def next_cursor(
        self, stream: Stream, cursor: str | None, started_at: datetime
    ) -> str | None:
        """Stage history: the last id. Objects: the portal's clock minus the overlap."""
        if stream.name in _HISTORIES:
            last = max(self._last_id.get(stream.name, 0), int(cursor or 0))
            return str(last) if last else cursor
        return super().next_cursor(
            stream, cursor, self._read_at.get(stream.name, started_at)
        )

    def read_again(self, stream: Stream, keys: list[str]) -> Iterator[Batch]:
        """Leads, deals or contacts by id, whatever their date (those still there).

        For what hung on a merged or deleted object: the portal moves a deal to the
        surviving contact without touching the deal's DATE_MODIFY.
        """
        method, select = _LISTS[stream.name], {"select": self._select(stream)}
        for start in range(0, len(keys), PAGE):
            chosen = {"@ID": keys[start : start + PAGE]}
            for rows in self._by_id(stream, method, select, chosen):
                yield JsonBatch(rows)

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded crm.*.list, crm.*.get or batch answer."""
        del headers
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"{stream.name}: the body is not JSON: {error}") from None
        return _records(stream, content)

    def check(self) -> list[str]:
        """Ask for the deals' fields: proves the webhook and the mapped fields."""
        content = self.client.post("crm.deal.fields", {}).json()
        known = content.get("result") if isinstance(content, dict) else None
        if not isinstance(known, dict):
            raise ParseError("crm.deal.fields: no fields in the answer")
        lines = [f"{self.account}: the webhook works, a deal has {len(known)} fields"]
        for what, code in self._mapped.model_dump().items():
            if code is None:
                lines.append(f"{what} is not mapped (settings.fields.{what})")
            elif code not in known:
                raise FatalError(_no_field(what, code))
            else:
                lines.append(f"{what} is read from {code}")
        return lines

    # -- how each kind is read -----------------------------------------------------

    def _changed(self, stream: Stream, cursor: str | None) -> Iterator[Batch]:
        bounds = {">=DATE_MODIFY": cursor} if cursor else {}
        select = {"select": self._select(stream)}
        pages = self._by_id(
            stream, _LISTS[stream.name], select, bounds, bounded=True, since=cursor
        )
        for rows in pages:
            if stream.name == "deals":
                for what, code in self._mapped.model_dump().items():
                    if code is not None and code not in rows[0]:
                        raise FatalError(_no_field(what, code))
            yield JsonBatch(rows)

    def _history(self, stream: Stream, cursor: str | None) -> Iterator[Batch]:
        first = max(int(cursor or 0) - HISTORY_OVERLAP, 0)
        kind = {"entityTypeId": _HISTORIES[stream.name]}
        pages = self._by_id(stream, "crm.stagehistory.list", kind, {}, after=first)
        for rows in pages:
            self._last_id[stream.name] = int(rows[-1]["ID"])
            yield JsonBatch(rows)

    def _deal_contacts(self, stream: Stream) -> Iterator[Batch]:
        select = {"select": ["ID", "CONTACT_ID"]}
        for deals in self._by_id(DEALS, "crm.deal.list", select, {}, whole=False):
            for start in range(0, len(deals), BATCH):
                some = deals[start : start + BATCH]
                commands = {
                    f"deal_{row['ID']}": f"crm.deal.contact.items.get?id={row['ID']}"
                    for row in some
                }
                not_empty = {
                    f"deal_{row['ID']}"
                    for row in some
                    if row.get("CONTACT_ID") not in (None, "", "0", 0)
                }
                found = self._batch(commands, not_empty)
                records = _records(stream, {"result": {"result": found}})
                if records:
                    yield JsonBatch(records)

    def _whole(self, stream: Stream, method: str, params: Record) -> Iterator[Batch]:
        """A short dictionary by the classic paging; the declared total is held to."""
        start, read = 0, 0
        while True:
            content = self.client.post(method, {**params, "start": start}).json()
            records = _records(stream, content)
            read += len(records)
            if records:
                yield JsonBatch(records)
            following = content.get("next")
            if following is None:
                break
            if not isinstance(following, int) or following <= start:
                raise ParseError(f"{method}: next={following!r} after start={start}")
            start = following
        if content.get("total") != read:
            raise RetriableError(
                f"{method}: {read} rows came, the portal has {content.get('total')!r}"
            )

    def _by_id(
        self,
        stream: Stream,
        method: str,
        params: Record,
        bounds: Record,
        *,
        after: int = 0,
        bounded: bool = False,
        since: str | None = None,
        whole: bool = True,
    ) -> Iterator[list[Record]]:
        """Non-empty pages in the order of ids, until the portal says nothing is left.

        `whole`: records with all fields, not only some that `params` select.

        `start: -1` spares the portal the counting, and its answers do not say whether
        more follows. So a page that is not full is followed by a counted request for
        what lies after it: under load the portal has answered with empty lists.
        """
        last, counted = after, False
        while True:
            request = {
                **params,
                "order": {"ID": "ASC"},
                "filter": {**bounds, ">ID": last},
                "start": 0 if counted else -1,
            }
            content = self.client.post(method, request).json()
            rows = _records(stream, content, whole=whole)
            if bounded:
                bounds = {**bounds, "<DATE_MODIFY": self._now(stream, content, since)}
                bounded = False
            for row in rows:
                if int(row["ID"]) <= last:
                    raise ParseError(f"{method}: id {row['ID']} came after {last}")
                last = int(row["ID"])
            if rows:
                yield rows
            total, more = content.get("total"), content.get("next") is not None
            if len(rows) >= PAGE:
                counted = False
            elif not more and total == len(rows) and (counted or total):
                return
            elif counted and not rows:
                raise RetriableError(
                    f"{method}: an empty page, though {total!r} are left after {last}"
                )
            else:
                counted = True

    def _now(self, stream: Stream, content: Record, since: str | None) -> str:
        """The portal's clock; ParseError without it, FatalError if it is behind."""
        try:
            text = str(content["time"]["date_start"])
            now = datetime.fromisoformat(text)
        except (KeyError, TypeError, ValueError):
            raise ParseError(
                f"{stream.name}: the answer has no time.date_start"
            ) from None
        if since is not None and datetime.fromisoformat(since) > now:
            raise FatalError(
                f"{stream.name}: the last read ended at {since}, the portal's clock "
                f"shows {text}: nothing is read until one of them is put right"
            )
        self._read_at[stream.name] = now
        # Whole seconds on both sides: the running second belongs to this read.
        return (now + timedelta(seconds=1)).isoformat()

    def _batch(self, commands: dict[str, str], not_empty: set[str]) -> Record:
        """Results by command; one refused with "Not found" is left out.

        A command without an answer, or with an empty one where it cannot be, is sent
        again. Raises FatalError for another refusal, RetriableError when answers are
        still missing after ASK_BUDGET seconds.
        """
        found: Record = {}
        left = dict(commands)

        def ask() -> int:
            content = self.client.post("batch", {"halt": 0, "cmd": left}).json()
            results, errors = _batch_parts(content)
            if strange := [key for key in (*results, *errors) if key not in left]:
                raise ParseError(f"batch: answers that were not asked for: {strange}")
            for key, result in results.items():
                if result or key not in not_empty:
                    found[key] = result
                    del left[key]
            for key, error in errors.items():
                said = error if isinstance(error, dict) else {}
                if str(said.get("error_description")).startswith("Not found"):
                    left.pop(key, None)
                elif said.get("error") not in _PASSING:
                    raise FatalError(f"batch: {commands[key]}: {error}")
            return len(left)

        self.client.poll(
            ask,
            lambda missing: ASK_AGAIN if missing else None,
            what="the rest of a batch",
            budget=ASK_BUDGET,
        )
        return found

    def _select(self, stream: Stream) -> list[str]:
        return [each.name for each in _with_custom(stream, self._mapped).fields]


_PASSING = {
    "QUERY_LIMIT_EXCEEDED",
    "OPERATION_TIME_LIMIT",
    "INTERNAL_SERVER_ERROR",
    "ERROR_UNEXPECTED_ANSWER",
}


def _with_custom(stream: Stream, mapped: Fields) -> Stream:
    """The stream with the mapped custom fields; a lead may hold the client id too."""
    codes = {k: v for k, v in mapped.model_dump().items() if v is not None}
    client_id = codes.pop("ym_client_id", None)
    if stream.name not in ("leads", "deals"):
        return stream
    known = {each.name for each in stream.fields}
    plain = codes.values() if stream.name == "deals" else ()
    custom = fields(*plain, ids=(client_id,) if client_id else ())
    return replace(
        stream,
        fields=stream.fields + tuple(each for each in custom if each.name not in known),
    )


def _no_field(what: str, code: str) -> str:
    return (
        f"sources.yml: settings.fields.{what} names {code}, but a deal has no such "
        "field: see the codes in CRM, Settings, Custom fields, or leave it out"
    )


def _records(stream: Stream, content: Any, *, whole: bool = True) -> list[Record]:
    """The records of one answer. `whole`: look at the required fields too.

    Raises ParseError for another shape, and for an answer of which a part failed.
    """
    if not isinstance(content, dict) or "result" not in content:
        raise ParseError(f"{stream.name}: the answer has no `result`")
    rows = _rows(stream, content["result"])
    needed = stream.required_fields if whole else stream.key
    for row in rows:
        if not isinstance(row, dict):
            raise ParseError(f"{stream.name}: a record is not a JSON object")
        for name in needed:
            if name not in row:
                raise ParseError(f"{stream.name}: a record has no field {name}")
        if "ID" in needed and not str(row["ID"]).isdecimal():
            raise ParseError(f"{stream.name}: ID {row['ID']!r} is not a number")
    return rows


def _rows(stream: Stream, result: Any) -> list[Any]:
    if isinstance(result, dict) and "result" in result:
        results, errors = _batch_parts({"result": result})
        if errors:
            raise ParseError(f"{stream.name}: in the batch failed: {', '.join(errors)}")
        if stream.name == "deal_contacts":
            return [
                {"DEAL_ID": key.removeprefix("deal_"), **each}
                for key, found in results.items()
                for each in _rows(stream, found)
            ]
        return [row for found in results.values() for row in _rows(stream, found)]
    inside = _INSIDE.get(stream.name)
    if isinstance(result, dict) and ("item" in result or "items" in result):
        items = result.get("items")
        if inside != "items" or not isinstance(items, list):
            raise ParseError(
                f"{stream.name}: an answer of crm.item.*, whose names are camelCase; "
                "this connector reads crm.lead.*, crm.deal.*, crm.contact.*"
            )
        return items
    if inside is not None and isinstance(result, dict):
        result = result.get(inside)
    if isinstance(result, list):
        return result
    if isinstance(result, dict) and inside is None:
        return [result]
    raise ParseError(f"{stream.name}: `result` has another shape")


def _batch_parts(content: Any) -> tuple[Record, Record]:
    """`result` and `result_error` of a batch by command; PHP's `[]` is an empty map.

    Raises ParseError when errors came as a list: nobody knows whose they are.
    """
    parts = content.get("result") if isinstance(content, dict) else None
    if parts == []:
        return {}, {}
    if not isinstance(parts, dict):
        raise ParseError("batch: the answer has no results")
    found = []
    for name in ("result", "result_error"):
        part = parts.get(name) or {}
        if not isinstance(part, dict):
            raise ParseError(
                f"batch: {name} came without the commands' names: {len(part)} entries"
            )
        found.append(part)
    return found[0], found[1]
