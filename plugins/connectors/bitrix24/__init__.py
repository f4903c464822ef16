"""Bitrix24 CRM: leads, deals, contacts, goods, invoices and the history of stages."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from operator import itemgetter
from typing import TYPE_CHECKING, ClassVar

from connectors.base.batch import Batch, JsonBatch, Record
from connectors.base.connector import Account, Auth, ConnectionInfo, Connector, Limits
from connectors.base.errors import ConnectorError, ParseError, RetriableError
from connectors.base.stream import Stream, Window, from_json
from connectors.bitrix24 import errors, lists, records, streams
from connectors.bitrix24.custom_fields import BitrixSettings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.client import Answer, ApiClient


class Bitrix24(Connector):
    """Reads a portal through an incoming webhook, one request at a time.

    Objects come in the order of their ids, so that nothing moves between pages. The
    portal's own clock at the first answer ends a read and is where the next starts.
    """

    name = "bitrix24"
    role = "crm"
    base_url = "https://*.bitrix24.ru/rest"
    streams = streams.ALL
    Settings = BitrixSettings
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
    dependants: ClassVar[Mapping[str, tuple[tuple[str, str], ...]]] = {
        "contacts": (("deals", "CONTACT_ID"), ("leads", "CONTACT_ID")),
        "leads": (("deals", "LEAD_ID"),),
    }
    settings: BitrixSettings

    def __init__(
        self, account: Account, connection: ConnectionInfo, client: ApiClient
    ) -> None:
        super().__init__(account, connection, client)
        self._read_at: dict[str, datetime] = {}
        self._last_id: dict[str, str] = {}

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """The webhook's owner and code are a part of every path."""
        secret = connection.password
        return Auth(path=f"{connection.login}/{secret}", secrets=(secret,))

    @classmethod
    def limits_of(cls, account: Account) -> Limits:
        """The leaky bucket of the portal's plan (settings), else of the common one."""
        given = BitrixSettings.model_validate(account.settings)
        return replace(cls.limits, **given.model_dump(exclude={"fields"}))

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """The streams with the account's own custom fields declared."""
        custom = BitrixSettings.model_validate(account.settings).fields
        return tuple(custom.declared_in(stream) for stream in cls.streams)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """The portal's own errors; a code may be empty, the status may be 200."""
        return errors.judge(answer)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Every page of a stream. Entities: what was changed since the cursor.

        A cursor is a moment (ISO 8601) for objects, an id for histories. Money is in
        the record's CURRENCY_ID. Raises as `lists` do, FatalError for a wrong mapping.
        """
        if stream.name in lists.OBJECTS:
            yield from self._changed(stream, cursor)
        elif stream.name in lists.HISTORIES:
            yield from self._history(stream, cursor)
        elif stream.name in lists.DICTIONARIES:
            yield from lists.whole(self.client, stream)
        elif stream.name == streams.DEAL_PRODUCTS.name:
            deals = lists.only(streams.DEALS, "ID")
            for some in self._rows(deals, cursor, stream):
                ids = [str(row["ID"]) for row in some]
                yield JsonBatch(lists.products(self.client, ids))
        else:
            for rows in lists.everything(self.client, stream):
                yield JsonBatch(rows)

    def keys(self, stream: Stream) -> Iterator[list[str]]:
        """Ids of all live objects; goods are kept by deal."""
        has_goods = stream.name == streams.DEAL_PRODUCTS.name
        of = streams.DEALS if has_goods else stream
        key = of.key[0]
        for rows in lists.everything(self.client, lists.only(of, key)):
            yield [str(row[key]) for row in rows]

    def next_cursor(
        self, stream: Stream, cursor: str | None, started_at: datetime
    ) -> str | None:
        """Stage history: the last id. Objects: the portal's clock minus the overlap."""
        if stream.name in lists.HISTORIES:
            return self._last_id.get(stream.name, cursor)
        started_at = self._read_at.get(stream.name, started_at)
        return super().next_cursor(stream, cursor, started_at)

    def read_again(self, stream: Stream, keys: list[str]) -> Iterator[Batch]:
        """Leads, deals or contacts by id, whatever their date (those still there).

        For what hung on a merged or deleted object: the portal moves a deal to the
        surviving contact without touching the deal's DATE_MODIFY.
        """
        stream = self.settings.fields.declared_in(stream)
        for start in range(0, len(keys), lists.PAGE):
            chosen = {"@ID": keys[start : start + lists.PAGE]}
            for rows in lists.by_id(self.client, stream, chosen):
                yield JsonBatch(rows)

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded crm.*.list, crm.*.get or batch answer; or ParseError."""
        try:
            return records.records(stream, from_json(body))
        except RetriableError as error:  # nobody can be asked once more
            raise ParseError(str(error)) from None

    def check(self) -> list[str]:
        """Ask for the deals' fields: proves the webhook and the mapped fields.

        Raises FatalError for a mapped field that deals lack.
        """
        content = self.client.post("crm.deal.fields", {}).json()
        known = content.get("result") if isinstance(content, dict) else None
        if not isinstance(known, dict):
            raise ParseError("crm.deal.fields: no fields in the answer")
        self.settings.fields.refuse_unknown(known)
        works = f"{self.account}: the webhook works, a deal has {len(known)} fields"
        return [works, *self.settings.fields.lines()]

    def _changed(self, stream: Stream, cursor: str | None) -> Iterator[Batch]:
        stream = self.settings.fields.declared_in(stream)
        for rows in self._rows(stream, cursor, stream):
            if stream.name == streams.DEALS.name:
                self.settings.fields.refuse_unknown(rows[0])
            yield JsonBatch(rows)

    def _rows(
        self, stream: Stream, cursor: str | None, read_for: Stream
    ) -> Iterator[list[Record]]:
        """Rows of a list of objects changed since the cursor, or all of them."""
        changed = lists.OBJECTS[stream.name].changed

        def until_now(first: Record) -> Record:
            now = self._read_at[read_for.name] = lists.clock(read_for, first, cursor)
            # Whole seconds on both sides: the running second belongs to this read.
            return {f"<{changed}": (now + timedelta(seconds=1)).isoformat()}

        if cursor is None:
            return lists.everything(self.client, stream, first=until_now)
        since = {f">={changed}": cursor}
        return lists.by_id(self.client, stream, since, then=until_now)

    def _history(self, stream: Stream, cursor: str | None) -> Iterator[Batch]:
        if cursor is None:
            found = lists.everything(self.client, stream)
        else:
            after = max(int(cursor) - lists.HISTORY_OVERLAP, 0)
            found = lists.by_id(self.client, stream, after=after)
        last = int(cursor or 0)
        for rows in found:
            last = max(last, *map(int, map(itemgetter("ID"), rows)))
            self._last_id[stream.name] = str(last)
            yield JsonBatch(rows)
