"""What a connector is: a declaration of streams over one client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal  # noqa: TC003 - part of the interface
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from connectors.base.batch import Record
from connectors.base.client import Answer, ApiClient, Auth, Limits
from connectors.base.connection import ConnectionInfo
from connectors.base.errors import ConfigError, ConnectorError, TokenExpired
from connectors.base.oauth import Token, TokenRequest, standard_token
from connectors.base.sources import Account
from connectors.base.stream import Field, Stream, Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from connectors.base.batch import Batch

__all__ = [
    "Account",
    "Answer",
    "ApiClient",
    "Auth",
    "ConnectionInfo",
    "Connector",
    "Field",
    "Limits",
    "NoSettings",
    "Record",
    "Role",
    "Stream",
    "Token",
    "TokenExpired",
    "TokenRequest",
    "Window",
]


Role = Literal["ads", "analytics", "calls", "crm", "sheet", "files"]


class NoSettings(BaseModel):
    """For a source that needs no settings of its own."""

    model_config = ConfigDict(extra="forbid")


class Connector(ABC):
    """Base of all connectors; a subclass declares, the base and the client do."""

    name: ClassVar[str]
    # What the source is in the company. Accounts of sources of one role need names of
    # their own (see `sources.SOLITARY`): their records meet in one table.
    role: ClassVar[Role]
    streams: ClassVar[tuple[Stream, ...]]
    # The vendor's address; another one is refused outside the demo. A host may have
    # a `*` where each customer has an address of their own ("https://*.example.com").
    base_url: ClassVar[str]
    Settings: ClassVar[type[BaseModel]] = NoSettings
    # Connection fields that are secret: they must be there, and are masked.
    Secrets: ClassVar[tuple[str, ...]] = ("password",)
    # What belongs into a connection field and where the owner finds it.
    connection_help: ClassVar[Mapping[str, str]] = {}
    # What the owner does when the vendor refuses the token (one sentence).
    if_refused: ClassVar[str] = "issue a new token and put it into the connection"
    limits: ClassVar[Limits] = Limits()
    # When the sweep finds keys of stream S gone, what hung on them is read again:
    # S -> ((stream T, field of T that holds the key), ...).
    dependants: ClassVar[Mapping[str, tuple[tuple[str, str], ...]]] = {}
    # Re-read of an entity stream starts this much before the last read's start.
    overlap: ClassVar[timedelta] = timedelta(hours=1)

    def __init__(
        self, account: Account, connection: ConnectionInfo, client: ApiClient
    ) -> None:
        self.account = account
        self.connection = connection
        self.client = client
        self.settings: Any = self.Settings.model_validate(account.settings)

    # -- what a vendor's folder may say ------------------------------------------

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """How requests prove who we are; default: a bearer token in `password`."""
        del account
        return Auth(headers={"Authorization": f"Bearer {connection.password}"})

    @classmethod
    def needs_connection(cls, account: Account) -> bool:
        """Is there anybody to connect to? Not for files on this machine."""
        del account
        return True

    @classmethod
    def connection_needs(cls, connection: ConnectionInfo) -> Mapping[str, str]:
        """Connection fields that must be filled in, and what belongs into each.

        Default: `Secrets` and all of `connection_help`; overridden where there are
        several ways to prove who we are.
        """
        del connection
        return dict.fromkeys(cls.Secrets, "") | dict(cls.connection_help)

    @classmethod
    def token_request(
        cls, account: Account, connection: ConnectionInfo, refresh_token: str | None
    ) -> TokenRequest | None:
        """How to get an access token that runs out; None: `auth` is all there is.

        `refresh_token` is the one that came with the last token, None when there is
        none yet (then what the connection holds is used). Makes no request.
        """
        del account, connection, refresh_token
        return None

    @classmethod
    def auth_with(
        cls, account: Account, connection: ConnectionInfo, access_token: str
    ) -> Auth:
        """How requests use an access token of `token_request`; default: Bearer."""
        del account, connection
        return Auth(headers={"Authorization": f"Bearer {access_token}"})

    @classmethod
    def token_answer(cls, answer: Answer) -> Token:
        """The token in an answer to `token_request`; default: standard OAuth JSON.

        Raises FatalError when there is none in it.
        """
        return standard_token(answer)

    @classmethod
    def limits_of(cls, account: Account) -> Limits:
        """What the vendor allows this account; default: what it allows everyone."""
        del account
        return cls.limits

    @classmethod
    def streams_of(cls, account: Account) -> tuple[Stream, ...]:
        """The streams with the account's own fields; default: `streams`.

        Whoever has an account takes its streams from here.
        """
        del account
        return cls.streams

    @classmethod
    def judge(cls, answer: Answer) -> ConnectorError | None:
        """An error the vendor hid in an answer (also under HTTP 200), or None.

        Seen for every answer, before the status is judged by the usual rules; raise
        nothing, return RetriableError, FatalError or TokenExpired to overrule them.
        """
        del answer
        return None

    @abstractmethod
    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """Yield what the vendor has; returning normally PROVES the answer complete.

        `window` for window streams; `cursor` for entity streams (None: from the start
        of history). Raises RetriableError or FatalError.
        """

    def keys(self, stream: Stream) -> Iterator[list[str]]:
        """Entity streams: every live record key, for the sweep of what was deleted.

        Each entity stream needs it but one that is `append_only`; a connector without
        it fails here with NotImplementedError, rather than never seeing a deletion.
        """
        raise NotImplementedError(f"{self.name}.{stream.name} cannot list its keys")

    def read_again(self, stream: Stream, keys: list[str]) -> Iterator[Batch]:
        """These records once more, by their record keys (see `dependants`).

        Keys that are gone are left out. NotImplementedError where nothing depends.
        """
        raise NotImplementedError(f"{self.name}.{stream.name} cannot be read by key")

    def next_cursor(
        self, stream: Stream, cursor: str | None, started_at: datetime
    ) -> str | None:
        """Entity streams: where the next read starts, once `pages` has ended.

        `started_at` is when this read began (aware); `cursor` is what it began from.
        Default: that moment minus `overlap`, ISO 8601 in UTC.
        """
        del cursor
        if stream.kind != "entity":
            return None
        return (started_at - self.overlap).astimezone(UTC).isoformat(timespec="seconds")

    def control_total(self, stream: Stream, window: Window) -> Decimal | None:
        """The account's own total of `amount_field` for the window, in its currency.

        None when the vendor has none. Raises RetriableError or FatalError.
        """
        del stream, window
        return None

    @abstractmethod
    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """One recorded body as records, by the same code as a live one.

        Raises ParseError when the body does not fit the contract.
        """

    @abstractmethod
    def check(self) -> list[str]:
        """Prove by a cheap request that the connection works; lines for a person.

        Raises FatalError, whose text says what to do.
        """

    def scrub(
        self, stream: Stream, body: bytes, default: Callable[[bytes], bytes]
    ) -> bytes:
        """A body without the people in it, in the same shape, for `record`.

        `default` knows JSON objects and tables with a header by their declared fields;
        overridden where cells have no names. Raises ParseError for another shape.
        """
        del stream
        return default(body)

    # -- what every connector has ------------------------------------------------

    def record_date(self, stream: Stream, record: Record) -> date | None:
        """The record's civil day in the account's zone; None for dateless streams.

        Raises KeyError or ValueError when the day cannot be found.
        """
        return stream.record_date(record, self.account.time_zone)

    @classmethod
    def stream(cls, name: str, account: Account | None = None) -> Stream:
        """The stream of this name; ConfigError lists what there is."""
        streams = cls.streams if account is None else cls.streams_of(account)
        for each in streams:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in streams)
        raise ConfigError(f"{cls.name} has no stream {name!r} (there: {known})")

    @classmethod
    def is_own_address(cls, url: str) -> bool:
        """Is this the vendor's own address (scheme, host and port)?"""
        given, own = urlsplit(url), urlsplit(cls.base_url)
        return given.scheme == own.scheme and fnmatchcase(
            given.netloc.lower(), own.netloc.lower()
        )
