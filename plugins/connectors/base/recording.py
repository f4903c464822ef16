"""Keep a real account's answers as files, without the people in them.

What is kept has the shape that came and serves `replay` and the recorded simulator
(`simulator/README.md`, "Recorded answers"). Phones, e-mails, names and free text become
fakes; the same person gets the same fake in every answer, in every source that is
recorded into the same folder with the same THROUGHLINE_TOKEN_KEY, so that joins hold.
"""

from __future__ import annotations

import hmac
import itertools
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

import orjson
import yaml  # type: ignore[import-untyped,unused-ignore]

from connectors.base.errors import ConnectorError, FatalError, ParseError
from connectors.base.redaction import MASK, mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from connectors.base.connector import Connector
    from connectors.base.stream import Stream

INDEX = "index.yml"
FAKES = "fakes.json"  # keyed hashes of what was replaced, and by which number
MOST_FAKES = 10_000_000

_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
# A number as people write it, with a country's or the trunk code and an area code.
_PHONE = re.compile(
    r"(?<![\w+])(?:\+?7|8)[\s(-]{0,2}\d{3}[\s)-]{0,2}\d{3}[\s-]?\d\d[\s-]?\d\d(?!\w)"
    r"|(?<!\w)\+\d[\d\s()-]{7,18}\d(?!\w)"
)
# Colleagues: their names are plain to landing, and still names.
_STAFF = re.compile(
    r"manager|employee|operator|responsible|author|user_?name|full_?name", re.IGNORECASE
)
_SIZE = re.compile(r"size|length|bytes", re.IGNORECASE)
_CODE_NAME = re.compile(r"(^|_)(code|type|kind|type_id)$", re.IGNORECASE)
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,40}")
_NUMBER_LIKE = re.compile(r"[\s\d.,:+%/TZ-]*")
_LETTERS = "абвгдежзиклмнопрст"
_KEPT_QUERY = re.compile(r"utm_\w+|page|limit|offset|start|per_page")
_DROPPED_HEADERS = {
    "connection", "content-encoding", "content-length", "date", "keep-alive", "server",
    "set-cookie", "transfer-encoding",
}  # fmt: skip
_SUFFIXES = {"json": ".json", "tab-separated": ".tsv", "csv": ".csv", "xml": ".xml"}


@dataclass(frozen=True)
class Exchange:
    """A request without what proves who asks, and its answer, whole and decoded."""

    method: str
    path: str
    params: Mapping[str, Any]
    json: Any
    status: int
    headers: Mapping[str, str]
    body: bytes


class Fakes:
    """Numbers for what is replaced: the same for the same thing, by a keyed hash."""

    def __init__(self, key: bytes, known: Mapping[str, int] | None = None) -> None:
        self._key = key
        self.known = dict(known or {})
        self.phones: set[str] = set()  # given out, ten digits each

    def number(self, kind: str, value: str) -> int:
        """The number of a value of this kind, from 0 on."""
        text = f"{kind}:{value}".encode()
        digest = hmac.new(self._key, text, sha256).hexdigest()[:32]
        return self.known.setdefault(digest, len(self.known) % MOST_FAKES)

    def phone(self, text: str) -> str:
        """A fictional number, with the punctuation and the prefix that was typed."""
        digits = re.sub(r"\D", "", text)
        number = self.number("phone", digits[-10:])
        fake = str(
            9_000_000_000 + number if number < 10_000 else 9_990_000_000 + number
        )
        self.phones.add(fake)
        if not (len(digits) == 10 or (len(digits) == 11 and digits[0] in "78")):
            return f"+7{fake}"
        source = iter(digits[: len(digits) - 10] + fake)
        return "".join(next(source) if c.isdigit() else c for c in text)

    def email(self, text: str) -> str:
        """An address at example.com."""
        return f"p{self.number('email', text.strip().lower())}@example.com"

    def name(self, text: str) -> str:
        """A made-up name of letters only."""
        number = self.number("name", " ".join(text.lower().split()))
        return f"Имя{_letters(number)}"

    def text(self, text: str) -> str:
        """Words without meaning."""
        return f"текст {_letters(self.number('text', text))}"

    def ident(self, text: str) -> str:
        """An identifier of the same length and kind of letters (click ids, tokens)."""
        seed = hmac.new(self._key, f"ident:{text}".encode(), sha256).hexdigest()
        source = itertools.cycle(seed)
        return "".join(
            str(int(next(source), 16) % 10)
            if c.isdigit()
            else next(source)
            if c.isalpha()
            else c
            for c in text
        )


def _letters(number: int) -> str:
    found = ""
    while True:
        number, rest = divmod(number, len(_LETTERS))
        found = _LETTERS[rest] + found
        if not number:
            return found


class Scrubber:
    """Takes people out of answers of one connector's streams.

    What a field is, its declaration says, in whichever object it stands; a field that
    nobody declared, in an object that is a record, is free text. Everywhere else phones
    and e-mails are replaced where they are found.
    """

    def __init__(self, streams: Iterable[Stream], fakes: Fakes) -> None:
        self._fakes = fakes
        self._kinds: dict[str, str] = {}
        self._streams = [{each.name for each in stream.fields} for stream in streams]
        # what is removed: looked for afterwards in what is kept
        self.removed: set[str] = set()

    def add(self, stream: Stream) -> None:
        """Take this stream's word for what its fields are (the last one's stands)."""
        for each in stream.fields:
            kind = str(each.contact_kind or each.field_class)
            if kind == "plain" and _STAFF.search(each.name):
                kind = "staff"
            self._kinds[each.name] = kind

    def body(self, body: bytes) -> bytes:
        """A body of JSON or of a table with a header, without people.

        Raises ParseError for another shape: nobody could say who is in it.
        """
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            return self._table(body)
        return orjson.dumps(self._walk(content), option=orjson.OPT_INDENT_2)

    # -- inside ---------------------------------------------------------------------

    def _walk(self, value: Any, kind: str = "") -> Any:
        if isinstance(value, dict):
            return self._object(value, kind)
        if isinstance(value, list):
            rows = [each for each in value if isinstance(each, list)]
            if not kind and any(isinstance(cell, str) for row in rows for cell in row):
                raise ParseError("cells without names: nobody could say who is in them")
            return [self._walk(each, kind) for each in value]
        if isinstance(value, str):
            return self._value(value, kind)
        if kind in ("phone", "name", "email") and isinstance(value, int):
            return self._whole(str(value), kind) if value > 10**6 else value
        return value

    def _object(self, value: dict[str, Any], kind: str) -> dict[str, Any]:
        names = set(value)
        is_record = any(
            len(declared & names) >= min(3, len(declared)) for declared in self._streams
        )
        found = {}
        for name, inner in value.items():
            inside = kind
            if not inside and name in self._kinds:
                inside = self._kinds[name]
            elif not inside and is_record:
                inside = "undeclared"
            is_code = isinstance(inner, str) and _CODE.fullmatch(inner)
            if is_code and name not in self._kinds and _CODE_NAME.search(name):
                found[name] = inner
            else:
                found[name] = self._walk(inner, inside)
        return found

    def _value(self, text: str, kind: str) -> str:
        if not text:
            return text
        if kind in ("phone", "email", "name"):
            return self._whole(text, kind)
        if kind == "staff":
            return self._fakes.name(text) if re.search(r"[^\W\d]", text) else text
        if kind == "url":
            return self._url(text)
        if kind == "business_number":
            return self._found(text) if "@" in text else self._fakes.phone(text)
        if kind in ("text", "undeclared"):
            if re.fullmatch(r"[3-9]\d{9,10}", text):  # bare, yet perhaps a phone
                return self._fakes.phone(text)
            if _NUMBER_LIKE.fullmatch(text) and not _PHONE.search(text):
                return text
            return self._fakes.text(text)
        if kind in ("id", "plain") and text.isdecimal():
            return text
        return self._found(text)

    def _whole(self, text: str, kind: str) -> str:
        """A contact field's value: all of it is a contact, or several."""
        if kind == "name":
            if len(text) > 3:
                self.removed.add(text)
            return self._fakes.name(text)
        if kind == "email" and "@" not in text:
            return self._fakes.text(text)
        if kind == "phone" and len(re.sub(r"\D", "", text)) < 5:
            return text if not re.search(r"\w", text) else self._fakes.text(text)
        found = self._found(text)
        if found != text:
            if kind == "phone" and re.search(r"[^\W\d]", _EMAIL.sub("", found)):
                return ", ".join(match[0] for match in _PHONE.finditer(found))
            return found
        if kind == "phone":
            self._remove(text)
            return self._fakes.phone(text)
        return self._fakes.email(text)

    def _found(self, text: str) -> str:
        """Every phone and e-mail in a text replaced."""

        def email(match: re.Match[str]) -> str:
            self.removed.add(match[0])
            return self._fakes.email(match[0])

        def phone(match: re.Match[str]) -> str:
            self._remove(match[0])
            return self._fakes.phone(match[0])

        return _PHONE.sub(phone, _EMAIL.sub(email, text))

    def _remove(self, phone: str) -> None:
        digits = re.sub(r"\D", "", phone)[-10:]
        if len(digits) == 10:
            self.removed.add(digits)

    def _url(self, text: str) -> str:
        try:
            parts = urlsplit(text)
            pairs = parse_qsl(parts.query, keep_blank_values=True)
        except ValueError:
            return self._fakes.text(text)
        query = urlencode(
            [
                (
                    name,
                    self._found(value)
                    if _KEPT_QUERY.fullmatch(name)
                    else self._fakes.ident(value),
                )
                for name, value in pairs
            ]
        )
        path = self._found(parts.path)
        return urlunsplit(
            (parts.scheme, parts.netloc.rpartition("@")[2], path, query, "")
        )

    def _table(self, body: bytes) -> bytes:
        try:
            lines = body.decode("utf-8-sig").split("\n")
        except UnicodeDecodeError:
            raise ParseError(
                "the answer is neither JSON nor a table in UTF-8"
            ) from None
        columns: list[str] | None = None
        for index, line in enumerate(lines):
            cells = line.split("\t")
            if columns is None:
                if len(set(cells) & self._kinds.keys()) >= min(2, len(self._kinds)):
                    columns = cells
                continue
            if len(cells) == len(columns):
                lines[index] = "\t".join(
                    self._value(cell, self._kinds.get(name, "undeclared"))
                    for name, cell in zip(columns, cells, strict=True)
                )
        if columns is None and any(line.strip() for line in lines):
            raise ParseError("the answer is neither JSON nor a table with our columns")
        return "\n".join(lines).encode()


@dataclass
class Recording:
    """Answers of one stream on their way into a folder."""

    connector: Connector
    stream: Stream
    fakes: Fakes
    kept: list[Exchange] = field(default_factory=list)

    def save(self, folder: Path) -> list[Path]:
        """Scrub what was kept and write it with its entries of the index.

        Returns the files. Raises FatalError, and writes nothing, when a contact that
        was taken out of one answer is still found in another, or when an answer does
        not give the same number of records as before.
        """
        streams = self.connector.streams_of(self.connector.account)
        scrubber = Scrubber(streams, self.fakes)
        for stream in (*streams, self.stream):
            scrubber.add(stream)
        clean = [
            (each, self.connector.scrub(self.stream, each.body, scrubber.body))
            for each in self.kept
        ]
        for each, body in clean:
            self._same_count(each, body)
        clean = _resized(clean)
        self._nobody(scrubber, [body for _, body in clean])
        return self._write(folder, clean)

    def _same_count(self, each: Exchange, body: bytes) -> None:
        def count(content: bytes) -> int | None:
            try:
                return len(self.connector.parse(self.stream, content, each.headers))
            except ConnectorError:
                return None

        if count(each.body) != count(body):
            raise FatalError(
                f"{self.connector.account}: the answer to {each.method} {each.path} "
                "cannot be scrubbed without changing its shape; nothing was kept"
            )

    def _nobody(self, scrubber: Scrubber, bodies: list[bytes]) -> None:
        text = b"\n".join(bodies).decode("utf-8", "replace")
        digits = re.sub(r"(?<=\d)[\s()-]+(?=\d)|(?<=\d)\)|\((?=\d)", "", text)
        runs = {each[-10:] for each in re.findall(r"(?<!\d)\d{10,11}(?!\d)", digits)}
        left = [
            one
            for one in scrubber.removed - self.fakes.phones
            if (one in runs if one.isdecimal() else one in text)
        ]
        if left:
            raise FatalError(
                f"{self.connector.account}: {len(left)} contacts that were found in "
                "contact fields are also in fields that are not declared as such; "
                "nothing was kept: declare the fields (class text or contact)"
            )

    def _write(self, folder: Path, clean: list[tuple[Exchange, bytes]]) -> list[Path]:
        source = self.connector.name
        (folder / source).mkdir(parents=True, exist_ok=True)
        index = folder / INDEX
        entries = yaml.safe_load(index.read_text("utf-8")) if index.exists() else []
        entries = [
            each
            for each in entries or []
            if (each.get("source"), each.get("stream")) != (source, self.stream.name)
        ]
        files, rows = [], []
        for number, (each, body) in enumerate(clean, 1):
            kind = each.headers.get("Content-Type", "").lower()
            suffix = next((s for k, s in _SUFFIXES.items() if k in kind), ".txt")
            name = f"{source}/{self.stream.name}_{number:03}{suffix}"
            (folder / name).write_bytes(mask(body.decode("utf-8", "replace")).encode())
            files.append(folder / name)
            rows.append(self._entry(each, name))
        entries += _in_turn(rows)
        if token := self._token_entry():
            entries = [e for e in entries if e.get("path") != token["path"]] + [token]
        text = yaml.safe_dump(entries, allow_unicode=True, sort_keys=False)
        index.write_text(mask(text), "utf-8")
        (folder / FAKES).write_bytes(orjson.dumps(self.fakes.known))
        return files

    def _entry(self, each: Exchange, name: str) -> dict[str, Any]:
        path = "/" + unquote(each.path).lstrip("/")
        auth = self.connector.auth(self.connector.account, self.connector.connection)
        if auth.path:  # the secret part of the path
            path = "^/.*" + re.escape(path)
        row: dict[str, Any] = {
            "source": self.connector.name,
            "stream": self.stream.name,
            "method": each.method,
            "path": path,
        }
        if query := {k: str(v) for k, v in each.params.items() if _is_plain(str(v))}:
            row["query"] = query
        if each.json is not None:
            row["json"] = _unmasked(each.json)
        if each.status != 200:
            row["status"] = each.status
        headers = {
            name: value
            for name, value in each.headers.items()
            if name.lower() not in _DROPPED_HEADERS and _is_plain(value)
        }
        if headers:
            row["headers"] = headers
        row["file"] = name
        return row

    def _token_entry(self) -> dict[str, Any] | None:
        """An answer for the renewal of the token, which is not recorded."""
        request = self.connector.token_request(
            self.connector.account, self.connector.connection, None
        )
        if request is None:
            return None
        return {
            "source": self.connector.name,
            "method": "POST",
            "path": urlsplit(request.url).path,
            "headers": {"Content-Type": "application/json"},
            "text": '{"access_token": "recorded", "expires_in": 86400}',
        }


def _resized(clean: list[tuple[Exchange, bytes]]) -> list[tuple[Exchange, bytes]]:
    """An answer that says how long another one is tells its new length."""
    lengths = {len(each.body): len(body) for each, body in clean if len(each.body) > 99}

    def walk(value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            return {key: walk(inner, key) for key, inner in value.items()}
        if isinstance(value, list):
            return [walk(each, name) for each in value]
        if type(value) is int and _SIZE.search(name):
            return lengths.get(value, value)
        return value

    found = []
    for each, body in clean:
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError:
            found.append((each, body))
        else:
            text = orjson.dumps(walk(content), option=orjson.OPT_INDENT_2)
            found.append((each, text))
    return found


def _in_turn(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same request asked again (a report that is not ready) is answered in turn."""

    def request(row: dict[str, Any]) -> bytes:
        asked = {k: row.get(k) for k in ("method", "path", "query", "json")}
        return orjson.dumps(asked, option=orjson.OPT_SORT_KEYS)

    last = {request(row): index for index, row in enumerate(rows)}
    for index, row in enumerate(rows):
        if last[request(row)] != index:
            row["once"] = True
    # the one that asks for most is looked at first
    return sorted(rows, key=lambda row: -len(request(row)))


def _is_plain(text: str) -> bool:
    """Has it neither a secret nor a contact in it?"""
    return MASK not in mask(text) and not _EMAIL.search(text)


def _unmasked(content: Any) -> Any:
    """A request's body without its secrets, and without contacts."""
    if isinstance(content, dict):
        return {
            name: _unmasked(value)
            for name, value in content.items()
            if not (isinstance(value, str) and not _is_plain(value))
        }
    return content


def recorder(keep: list[Exchange], most: int) -> Callable[[Exchange], None]:
    """Keeps exchanges, up to so many bytes of answers in all."""
    size = 0

    def observe(each: Exchange) -> None:
        nonlocal size
        size += len(each.body)
        if size > most:
            raise FatalError(
                f"the answers are over {most >> 20} MB; record fewer days (--days)"
            )
        keep.append(each)

    return observe
