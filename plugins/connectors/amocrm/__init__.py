"""amoCRM and Kommo: leads, contacts, pipelines, and the events that moved them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

from connectors.amocrm import access, errors, lists, streams
from connectors.amocrm.settings import AmoSettings
from connectors.base.batch import Batch, JsonBatch, Record
from connectors.base.connector import (
    Account,
    ConnectionInfo,
    Connector,
    Limits,
    TokenRequest,
)
from connectors.base.errors import (
    ConnectorError,
    FatalError,
    ParseError,
    RetriableError,
)
from connectors.base.stream import Stream, Window, from_json

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.client import Answer, ApiClient


class AmoCRM(Connector):
    """Reads an account by the moments of change that amoCRM itself notes."""

    name = "amocrm"
    role = "crm"
    base_url = "https://*.amocrm.ru"
    streams = streams.ALL
    Settings = AmoSettings
    connection_help: ClassVar[Mapping[str, str]] = {
        "password": "the long-lived token of a private integration (amoMarket, "
        "Create integration, Keys and access)",
    }
    if_refused = (
        "make a new long-lived token of the integration (Keys and access), or "
        "authorise it again, and put what you get into the connection"
    )
    limits = Limits(requests_per_second=6, burst=1)
    overlap = timedelta(days=1)
    dependants: ClassVar[Mapping[str, tuple[tuple[str, str], ...]]] = {
        "contacts": (("leads", "main_contact_id"),),
    }
    settings: AmoSettings

    def __init__(
        self, account: Account, connection: ConnectionInfo, client: ApiClient
    ) -> None:
        super().__init__(account, connection, client)
        self._newest: dict[str, int] = {}

    @classmethod
    def connection_needs(cls, connection: ConnectionInfo) -> Mapping[str, str]:
        """A long-lived token, or the four things of OAuth 2.0."""
        return access.needs(connection, cls.connection_help)

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest | None:
        """A new pair of tokens for a refresh token, which thereby dies."""
        own = cls.is_own_address(connection.base_url or "")
        host = connection.base_url if own else cls.base_url.replace("*", "www")
        return access.renewal(connection, f"{host}/oauth2/access_token", refresh_token)

    @classmethod
    def is_own_address(cls, url: str) -> bool:
        """An account's sub-domain of amoCRM or of Kommo."""
        return super().is_own_address(url.replace(".kommo.com", ".amocrm.ru"))

    @classmethod
    def limits_of(cls, account: Account) -> Limits:
        """7 requests a second are allowed; who goes over is blocked."""
        given = AmoSettings.model_validate(account.settings)
        return replace(cls.limits, requests_per_second=given.requests_per_second)

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """The streams with the account's own lead fields declared."""
        own = AmoSettings.model_validate(account.settings).fields
        return tuple(own.declared_in(stream) for stream in cls.streams)

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """amoCRM's own errors: a ban, a page, a cut body."""
        return errors.judge(answer)

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Every record changed since the cursor (ISO 8601), or all of a snapshot.

        `price` is in the account's currency. Raises as `lists.Reader` does.
        """
        since = None if cursor is None else _unix(cursor)
        reader = self._reader(stream)
        if stream.name == streams.LEADS.name:
            self._refuse_wrong_mapping()
        if stream.name == streams.EVENTS.name:
            found = reader.numbered(lists.event_filter(lists.EVENT_TYPES, since))
        elif stream.name in (streams.LEADS.name, streams.CONTACTS.name):
            found = reader.changed(since, bounded=True)
        elif stream.name == streams.DELETED_LEADS.name:
            found = reader.changed(None, bounded=False)
        else:
            found = reader.numbered({})
        for some in found:
            self._note(stream, some)
            if some:
                yield JsonBatch(reader.records(some))
        if stream.name == streams.LEADS.name and since is not None:
            yield from self._touched(reader, since)

    def keys(self, stream: Stream) -> Iterator[list[str]]:
        """Ids of all live objects; one edited meanwhile may come twice."""
        seen: set[str] = set()
        for some in self._reader(stream).changed(None, bounded=False):
            new = [str(row["id"]) for row in some if str(row["id"]) not in seen]
            seen.update(new)
            yield new

    def next_cursor(
        self, stream: Stream, cursor: str | None, started_at: datetime
    ) -> str | None:
        """amoCRM's own clock: the newest change that came, minus the overlap."""
        newest = self._newest.get(stream.name)
        if newest is None:
            return cursor
        return (datetime.fromtimestamp(newest, UTC) - self.overlap).isoformat()

    def read_again(self, stream: Stream, keys: list[str]) -> Iterator[Batch]:
        """Leads by id, whatever their date: a merge moves them to another contact."""
        reader = self._reader(self.settings.fields.declared_in(stream))
        if found := list(reader.by_id(keys)):
            yield JsonBatch(reader.records(found))

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """Records of a recorded page or object; none in the empty body of a 204."""
        if not body:
            return []
        try:
            return self._reader(stream).records(lists.rows(stream, from_json(body)))
        except RetriableError as error:  # nobody can be asked once more
            raise ParseError(str(error)) from None

    def check(self) -> list[str]:
        """Ask for the account and, when fields are mapped, for the lead fields."""
        answer = self.client.request("GET", "api/v4/account", expect="any")
        content = answer.json() if answer.body else None
        if not isinstance(content, dict) or "id" not in content:
            raise ParseError(f"{self.account}: api/v4/account names no account")
        self._refuse_wrong_mapping()
        works = f"{self.account}: the token opens account {content['id']}"
        return [works, *self.settings.fields.lines()]

    @property
    def _mapped(self) -> frozenset[int]:
        return frozenset(self.settings.fields.mapped.values())

    def _reader(self, stream: Stream) -> lists.Reader:
        return lists.Reader(self.client, stream, self._mapped, self.settings.page_size)

    def _refuse_wrong_mapping(self) -> None:
        if self._mapped:
            found = self._reader(streams.CUSTOM_FIELDS).numbered({})
            known = {int(row["id"]) for some in found for row in some}
            self.settings.fields.refuse_unknown(known)

    def _touched(self, reader: lists.Reader, since: int) -> Iterator[Batch]:
        """Leads that something was tied to or untied from: no change of their own."""
        asked = lists.event_filter(lists.TOUCHING, since)
        found = self._reader(streams.EVENTS).numbered(asked)
        touched = lists.touched_leads([event for some in found for event in some])
        if again := list(reader.by_id(touched)):
            yield JsonBatch(reader.records(again))

    def _note(self, stream: Stream, some: list[Record]) -> None:
        name = "created_at" if stream.append_only else "updated_at"
        if stream.kind == "entity" and some:
            newest = max(row[name] for row in some)
            self._newest[stream.name] = max(self._newest.get(stream.name, 0), newest)


def _unix(cursor: str) -> int:
    try:
        return int(datetime.fromisoformat(cursor).timestamp())
    except ValueError:
        raise FatalError(f"amocrm: {cursor!r} is no cursor") from None
