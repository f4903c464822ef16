"""The vocabulary of a connector: stream, field, window."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import repeat
from operator import ge, itemgetter
from typing import TYPE_CHECKING, Any, Literal
from zoneinfo import ZoneInfo

import orjson

from connectors.base.errors import ConfigError, ParseError
from connectors.base.redaction import MASK, excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_SECRET = re.compile(r"token|secret|passw", re.IGNORECASE)

FieldClass = Literal["contact", "text", "url", "business_number", "id", "plain"]
ContactKind = Literal["phone", "email", "name"]
StreamKind = Literal["window", "entity", "snapshot"]


@dataclass(frozen=True)
class Window:
    """Half-open run of an account's civil days: `date_from` is in, `date_to` is not."""

    date_from: date
    date_to: date
    time_zone: str

    def __post_init__(self) -> None:
        if self.date_from >= self.date_to:
            raise ConfigError(
                f"window {self.date_from} to {self.date_to} has no day in it: "
                "date_to is exclusive and must be later than date_from"
            )

    @property
    def days(self) -> Iterator[date]:
        """Each civil day, oldest first."""
        for offset in range((self.date_to - self.date_from).days):
            yield self.date_from + timedelta(days=offset)

    @property
    def last_day(self) -> date:
        """The last day that is in (for APIs whose end is inclusive)."""
        return self.date_to - timedelta(days=1)

    @property
    def start_at(self) -> datetime:
        """First moment of the window, UTC."""
        return self._midnight(self.date_from)

    @property
    def end_at(self) -> datetime:
        """First moment after the window, UTC. Days of 23 and 25 hours come out right."""
        return self._midnight(self.date_to)

    def chunks(self, days: int) -> Iterator[Window]:
        """The same days, oldest first, in windows of at most `days` (1 or more) days."""
        start = self.date_from
        while start < self.date_to:
            end = min(start + timedelta(days=days), self.date_to)
            yield Window(start, end, self.time_zone)
            start = end

    def refuse_others(self, moments: Iterable[object], what: str) -> None:
        """Raise ParseError when a moment (Unix seconds) lies outside of the window.

        Then the account's own zone is another than we were told, and days would be
        replaced by halves. What is no number is left to landing.
        """
        first, end = self.start_at.timestamp(), self.end_at.timestamp()
        for moment in moments:
            if isinstance(moment, int | float) and not first <= moment < end:
                at = datetime.fromtimestamp(moment, ZoneInfo(self.time_zone))
                raise ParseError(
                    f"{what}: a record of {at:%Y-%m-%d %H:%M %z} came; set time_zone of "
                    "this account in sources.yml to the zone its days have at the vendor"
                )

    def _midnight(self, day: date) -> datetime:
        zone = ZoneInfo(self.time_zone)
        return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True)
class Field:
    """A declared field and what may be personal in it.

    `contact_kind` is given for fields of class `contact`, and only for them.
    """

    name: str
    field_class: FieldClass = "plain"
    contact_kind: ContactKind | None = None


def fields(
    *plain: str,
    ids: tuple[str, ...] = (),
    text: tuple[str, ...] = (),
    url: tuple[str, ...] = (),
    business_number: tuple[str, ...] = (),
    phone: tuple[str, ...] = (),
    email: tuple[str, ...] = (),
    name: tuple[str, ...] = (),
) -> tuple[Field, ...]:
    """Declare many fields at once by class; `phone`, `email`, `name` are contacts."""
    return (
        *(Field(each) for each in plain),
        *(Field(each, "id") for each in ids),
        *(Field(each, "text") for each in text),
        *(Field(each, "url") for each in url),
        *(Field(each, "business_number") for each in business_number),
        *(Field(each, "contact", "phone") for each in phone),
        *(Field(each, "contact", "email") for each in email),
        *(Field(each, "contact", "name") for each in name),
    )


@dataclass(frozen=True)
class Stream:
    """One kind of record a source gives.

    `window` streams are replaced by civil day, `entity` streams are upserted from a
    cursor and swept of deleted keys (unless `append_only`: the vendor never deletes
    from it), `snapshot` streams are read whole each time.
    `restate_days`: how far back the vendor corrects, read again each run;
    `history_days`: how far back the first read goes (civil days of the account);
    `amount_field`: the money that loads sum up, in the account's currency.
    `by_people`: rows are typed by hand, so what cannot be read is listed among the dead
    letters and said in a warning, and never fails the load.
    """

    name: str
    kind: StreamKind
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    date_field: str | None = None
    # Finds the civil day of a record when it is not simply the start of `date_field`:
    # (record, the account's time zone) -> day. ValueError/KeyError: a dead letter.
    date_of: Callable[[Mapping[str, Any], ZoneInfo], date | None] | None = None
    amount_field: str | None = None
    restate_days: int = 0
    history_days: int = 1095
    required_fields: tuple[str, ...] = ()
    large_records: bool = False
    append_only: bool = False
    by_people: bool = False

    def record_key(self, record: Mapping[str, Any]) -> str:
        r"""The key fields joined by "|"; a "|" or "\" inside is escaped by "\".

        Raises KeyError when a key field is missing, ValueError when it is empty.
        """
        parts = []
        for name in self.key:
            value = record[name]
            if value is None or value == "" or isinstance(value, dict | list):
                raise ValueError(f"key field {name} is empty or not a plain value")
            text = value if type(value) is str else str(value)
            if "|" in text or "\\" in text:
                text = text.replace("\\", "\\\\").replace("|", "\\|")
            parts.append(text)
        return "|".join(parts)

    def record_keys(self, records: Sequence[Mapping[str, Any]]) -> list[str | None]:
        """The keys of many records, as `record_key` has them; None where it raises."""
        try:
            columns = [list(map(itemgetter(name), records)) for name in self.key]
        except KeyError:
            columns = [[None]]
        kinds = {type(value) for column in columns for value in column}
        if kinds <= {str, int}:
            texts = [list(map(str, column)) for column in columns]
            joined = "".join(map("".join, texts))
            if "|" not in joined and "\\" not in joined and all(map(all, texts)):
                return list(map("|".join, zip(*texts, strict=True)))
        return [self._key_or_none(record) for record in records]

    def _key_or_none(self, record: Mapping[str, Any]) -> str | None:
        try:
            return self.record_key(record)
        except (KeyError, ValueError):
            return None

    def record_date(self, record: Mapping[str, Any], time_zone: str) -> date | None:
        """The record's civil day in the account's zone; None for dateless streams.

        Raises KeyError or ValueError when the day cannot be found.
        """
        if self.date_of is None and self.date_field is None:
            return None
        try:
            if self.date_of is not None:
                return self.date_of(record, ZoneInfo(time_zone))
            return date.fromisoformat(str(record[self.date_field or ""])[:10])
        except (TypeError, OverflowError, OSError) as error:
            field = self.date_field or "date"
            raise ValueError(f"field {field} holds no day: {error}") from None


def from_json(body: bytes) -> Any:
    """A recorded body as JSON. Raises ParseError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        raise ParseError(f"the body is not JSON: {excerpt(body)!r}") from None


def outline(content: Any) -> str:
    """What a wrong answer looks like, for an error text: its top level only.

    Contacts and secrets are masked. Lists and objects are only counted: in them may be
    people's names.
    """
    if isinstance(content, dict):
        content = {
            key: f"({type(value).__name__} of {len(value)})"
            if isinstance(value, dict | list)
            else MASK
            if _SECRET.search(key)
            else value
            for key, value in content.items()
        }
    elif isinstance(content, list):
        return f"a list of {len(content)}"
    return repr(excerpt(orjson.dumps(content)))


def objects(stream: Stream, rows: list[Any], what: str) -> list[dict[str, Any]]:
    """The rows of a JSON list, if each is an object with the stream's required fields.

    Raises ParseError, which begins with `what`.
    """
    required = frozenset(stream.required_fields)
    if {*map(type, rows)} <= {dict} and all(
        map(ge, map(dict.keys, rows), repeat(required))
    ):
        return rows
    for row in rows:
        if not isinstance(row, dict):
            raise ParseError(f"{what}: a record is not a JSON object")
        if not row.keys() >= required:
            missing = [name for name in stream.required_fields if name not in row]
            raise ParseError(f"{what}: a record has no field {', '.join(missing)}")
    return rows
