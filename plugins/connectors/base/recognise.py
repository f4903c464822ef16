"""What a recorded body is: records of a stream, an error, a notice, or something else.

A connector's `parse` reads the answers to what we ask. A vendor says more than that, and
says it on other ways: errors, states of a report, tokens, events that it sends, files
that one uploads, answers to other queries. `<source>/known.py` names those (`KNOWN`), so
that `replay` can tell what a file is and why it gives no records.
"""

from __future__ import annotations

import csv
import importlib
import importlib.util
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import orjson

from connectors.base.answers import Answer, retry_in
from connectors.base.errors import ConfigError, ConnectorError, ParseError
from connectors.base.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from connectors.base.batch import Record
    from connectors.base.connector import Connector
    from connectors.base.stream import Stream

NAMED = 12  # fields, in a text for a person
_FORM = re.compile(rb"[\w%\[\].~-]+=[^\s&]*(&[\w%\[\].~-]+=[^\s&]*)*\s*")
_OURS = (ParseError, ConfigError)  # not the vendor's, but about its answer
_NOTHING: tuple[object, ...] = (None, "", [], {})


@dataclass(frozen=True)
class Known:
    """Something of a vendor's that is no page of a stream, and why it gives no records.

    It is known by what it `has`: paths into JSON or a form (`a.b`, `*` for each element)
    where something stands, or the `columns` of a table. `rows` and `names` are the paths
    to its rows and to their fields' names (else the rows' own). Without a reason (`why`)
    it is an answer to another query, and the stream nearest to it says what it lacks;
    `told` adds what only this content can say.
    """

    what: str
    has: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    why: str = ""
    rows: str = ""
    names: tuple[str, ...] = ()
    told: Callable[[Any], str] | None = None

    def fits(self, content: Any, columns: tuple[str, ...]) -> bool:
        """Is it that? A table's columns come apart from its content."""
        if self.columns:
            return {*self.columns} <= {*columns}
        return all(
            any(value not in _NOTHING for value in at(content, path))
            for path in self.has
        )


@dataclass(frozen=True)
class Found:
    """What a body is. Without a stream it holds no records, and `text` says why."""

    text: str = ""
    stream: Stream | None = None
    records: list[Record] = field(default_factory=list)


def recognise(connector: Connector, body: bytes, named: Stream | None = None) -> Found:
    """The records of a body, of the stream that was named or of the one that it fits.

    Else what it is. Raises ParseError when nobody knows it, and for an answer to
    another query than that of the stream that was named.
    """
    if named is not None and (records := _Try(connector, named, body).records):
        return Found(f"{len(records)} records of {named.name}", named, records)
    content, columns, count = _opened(body)
    known = _known(connector.name, content, columns)
    if named is None and known is not None and known.why:
        return Found(_described(known, content, columns, count))
    streams = connector.streams_of(connector.account)
    tries = [_Try(connector, each, body) for each in ([named] if named else streams)]
    if rows := [each for each in tries if each.records]:
        best = max(rows, key=lambda each: each.nearness(each.names))
        text = f"{len(best.records)} records of {best.stream.name}"
        also = [each.stream.name for each in rows if each is not best]
        text += f" (they would fit {', '.join(also)}, too)" * bool(also)
        return Found(text, best.stream, best.records)
    if error := _error_in(connector, content, tries):
        kind = type(error).__name__
        return Found(f"an error of the vendor's, read as {kind}: {error}")
    if known is not None and known.why:
        return Found(_described(known, content, columns, count))
    if empty := [each.stream.name for each in tries if each.error is None]:
        of = f" of {' or '.join(empty)}" if len(empty) < len(streams) else ""
        return Found(f"no records: an empty answer{of}")
    if known is None and (text := _generic(connector, content)):
        return Found(text)
    if known is None:
        raise _nobody_knows(connector, tries, body, named)
    text = _described(known, content, columns, count)
    names = _rows_in(known, content, columns, count)[0]
    nearest = max(tries, key=lambda each: each.nearness(names)[0])
    text += f"; not what {nearest.stream.name} asks for: {nearest.error}"
    if named is not None:
        raise ParseError(f"{tries[0].error}; it is {text}")
    return Found(text)


def at(content: Any, path: str) -> list[Any]:
    """Everything that stands at a path: `a.b` goes into objects, `*` into each element."""
    found = [content]
    for name in path.split(".") if path else ():
        if name == "*":
            found = [
                inner
                for each in found
                if isinstance(each, dict | list)
                for inner in (each.values() if isinstance(each, dict) else each)
            ]
        else:
            found = [e[name] for e in found if isinstance(e, dict) and name in e]
    return found


def ids_at(content: Any, path: str) -> str:
    """The ids at a path, for a text: digits only."""
    found = [str(each) for each in at(content, path)]
    return ", ".join(each if each.isdecimal() else "?" for each in found[:NAMED])


class _Try:
    """A body read as one stream's."""

    def __init__(self, connector: Connector, stream: Stream, body: bytes) -> None:
        self.stream = stream
        self.records: list[Record] = []
        self.error: ConnectorError | None = None
        try:
            self.records = connector.parse(stream, body, {})
        except ConnectorError as error:
            self.error = error
        self.names = {name for record in self.records for name in record}

    def nearness(self, names: Iterable[str]) -> tuple[int, int]:
        """How many of these fields the stream has, and (less is more) has not."""
        own = {_plain(each.name) for each in self.stream.fields}
        given = {_plain(each) for each in names}
        return len(own & given), -len(own - given)


def _plain(name: str) -> str:
    return re.sub(r"[^\w]|_", "", name).lower()


def _error_in(
    connector: Connector, content: Any, tries: list[_Try]
) -> ConnectorError | None:
    """The vendor's own error, as the connector would raise it."""
    for each in tries:
        if each.error is not None and not isinstance(each.error, _OURS):
            return each.error
    if content is None:
        return None
    body = orjson.dumps(content)
    error = connector.judge(Answer(200, {}, body, label=str(connector.account)))
    return None if isinstance(error, _OURS) else error


def _generic(connector: Connector, content: Any) -> str:
    """What any vendor may say."""
    if not isinstance(content, dict):
        return ""
    if isinstance(content.get("access_token"), str):
        return "an access token; no records: the client keeps it, sealed"
    if isinstance(content.get("error"), str) and "error_description" in content:
        said = excerpt(content["error"].encode())
        return f"a refusal by who issues tokens ({said}): {connector.if_refused}"
    headers = content.get("headers")
    if content.get("status") in (201, 202) and isinstance(headers, dict):
        given = {name: str(value) for name, value in headers.items()}
        wait = f"asked for again in {retry_in(given):.0f} s"
        return f"an answer that is not ready ({content['status']}), {wait}"
    kinds = []
    for name, inner in content.items():
        if not isinstance(inner, dict):
            return ""
        some = [_Try(connector, connector.streams[0], orjson.dumps(inner))]
        error = _error_in(connector, inner, some)
        if error is None:
            return ""
        kinds.append(f"{name}: {type(error).__name__}")
    return f"{len(kinds)} errors of the vendor's: {', '.join(kinds)}" * bool(kinds)


def _nobody_knows(
    connector: Connector, tries: list[_Try], body: bytes, named: Stream | None
) -> ParseError:
    if named is None:
        return ParseError(f"no answer of {connector.name} that anybody knows")
    text = str(tries[0].error)
    try:
        other = recognise(connector, body).stream
    except ParseError:
        other = None
    return ParseError(f"{text}; it is one of {other.name}" if other else text)


def _known(source: str, content: Any, columns: tuple[str, ...]) -> Known | None:
    name = f"connectors.{source}.known"
    if importlib.util.find_spec(name) is None:
        return None
    known: tuple[Known, ...] = importlib.import_module(name).KNOWN
    return next((each for each in known if each.fits(content, columns)), None)


def _rows_in(
    known: Known, content: Any, columns: tuple[str, ...], count: int
) -> tuple[list[str], int]:
    """The names of its rows' fields and how many rows there are."""
    if columns:
        return list(columns), count
    rows: list[Any] = []
    for each in at(content, known.rows) if known.rows else ():
        rows += each if isinstance(each, list) else [each]
    own = [name for row in rows if isinstance(row, dict) for name in row]
    named = [str(each) for path in known.names for each in at(content, path)]
    return list(dict.fromkeys(named or own)), len(rows)


def _described(known: Known, content: Any, columns: tuple[str, ...], count: int) -> str:
    text = known.what
    names, rows = _rows_in(known, content, columns, count)
    if known.told is not None:
        text += f": {known.told(content)}"
    if names:
        text += f", {rows} rows of {_listed(names)}"
    return text + f"; no records: {known.why}" * bool(known.why)


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" * (len(names) > NAMED)
    return excerpt(", ".join(names[:NAMED]).encode(), 400) + more


def _opened(body: bytes) -> tuple[Any, tuple[str, ...], int]:
    """A body as JSON or a form, or as a table's columns and how many rows it has."""
    try:
        return orjson.loads(body), (), 0
    except orjson.JSONDecodeError:
        pass
    if _FORM.fullmatch(body):
        return _form(body), (), 0
    for encoding in ("utf-8-sig", "cp1251"):
        try:
            lines = body.decode(encoding).splitlines()
            break
        except UnicodeDecodeError:
            continue
    else:
        return None, (), 0
    for start, line in enumerate(lines[:3]):
        mark = max("\t;,", key=line.count)
        if line.count(mark):
            width = len(columns := next(csv.reader([line], delimiter=mark)))
            rows = csv.reader(lines[start + 1 :], delimiter=mark)
            try:
                count = sum(1 for row in rows if len(row) == width)
            except csv.Error:
                return None, (), 0
            return None, tuple(each.strip() for each in columns), count
    return None, (), 0


def _form(body: bytes) -> dict[str, Any]:
    """`a[b][0][c]=x` as nested objects, which is how PHP reads it."""
    content: dict[str, Any] = {}
    for name, value in parse_qsl(body.decode("ascii", "replace").strip()):
        first, *rest = name.split("[")
        path = [first, *(each.rstrip("]") for each in rest)]
        here = content
        for part in path[:-1]:
            inner = here.setdefault(part, {})
            if not isinstance(inner, dict):
                inner = here[part] = {}
            here = inner
        here[path[-1]] = value
    return content
