"""Files that people drop as CSV or XLSX: costs, deals, sales, logs of numbers."""

from __future__ import annotations

import hashlib
import re
from email.message import Message
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.base import manual, settings
from connectors.base.batch import JsonBatch
from connectors.base.client import Auth, Limits
from connectors.base.connector import Connector
from connectors.base.errors import ParseError
from connectors.files import places, tables
from connectors.files.columns import PLANS, STREAMS
from connectors.files.guards import ZIP, Unreadable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from connectors.base.batch import Batch, Record
    from connectors.base.connection import ConnectionInfo
    from connectors.base.connector import Account
    from connectors.base.stream import Stream, Window

_BUCKET = re.compile(r"s3://(?P<bucket>[a-z0-9][a-z0-9.-]{1,62})(?:/(?P<prefix>.*))?")


class FilesSettings(BaseModel):
    """`path`: a folder (from the project's root, if not absolute) or s3://bucket/folder.

    `region` is the bucket's. `most_rows` and `most_megabytes` bound a single file.
    """

    model_config = ConfigDict(extra="forbid")

    path: str = Field(min_length=1)
    region: str = Field(default="us-east-1", pattern=r"^[a-z0-9-]+$")
    most_rows: int = Field(default=200_000, gt=0, le=1_000_000)
    most_megabytes: int = Field(default=32, gt=0, le=200)

    @field_validator("path")
    @classmethod
    def _is_a_place(cls, value: str) -> str:
        if value.startswith("s3:") and not _BUCKET.fullmatch(value):
            raise ValueError(f"{value!r} is no address such as s3://bucket/folder")
        return value


class Files(Connector):
    """Reads all files of a stream's folder each time: what is in no file any more goes,
    but a file that cannot be read leaves what it held. Of two files with one deal the
    later by name counts. Days and times are those of the account's zone.
    """

    name = "files"
    role = "files"
    streams = STREAMS
    base_url = "https://*"
    Settings = FilesSettings
    connection_help: ClassVar[Mapping[str, str]] = {
        "login": "the id of an access key that may list and read the bucket",
        "password": "the secret access key",
    }
    if_refused = (
        "check the access key, settings.path and settings.region, and that the key may "
        "list and read the bucket"
    )
    limits = Limits(max_concurrent=2)
    settings: FilesSettings

    @classmethod
    def needs_connection(cls, account: Account) -> bool:
        """A bucket does, a folder does not."""
        path = FilesSettings.model_validate(account.settings).path
        return path.startswith("s3://")

    @classmethod
    def auth(cls, account: Account, connection: ConnectionInfo) -> Auth:
        """Each request is signed by itself; the key never travels."""
        del account
        return Auth(secrets=(connection.password,))

    def pages(
        self, stream: Stream, window: Window | None, cursor: str | None
    ) -> Iterator[Batch]:
        """All files of the stream, the last by name first."""
        place = self._place()
        ids = manual.Ids()
        contents: dict[bytes, str] = {}
        for file in reversed(place.list(stream.name)):
            where = f"{stream.name}/{file.name}"
            if file.size > self.settings.most_megabytes << 20:
                reason = f"has over {self.settings.most_megabytes} MB; split it"
                yield _refused(where, reason)
                continue
            body = place.read(file)
            copy = contents.setdefault(hashlib.blake2b(body).digest(), file.name)
            if copy is not file.name:
                reason = f"is a copy of {copy}; its rows count once, take one away"
                yield _refused(where, reason, key=where)
                continue
            try:
                read = self._read(stream, where, body, ids)
            except Unreadable as error:
                yield _refused(where, str(error))
                continue
            for record in read.records:
                record["file"] = file.name
            again = (
                f"{where}: {read.again} rows stand otherwise in a later file, which "
                "counts"
            )
            yield read.batch(*[again] * bool(read.again))

    def parse(
        self, stream: Stream, body: bytes, headers: Mapping[str, str]
    ) -> list[Record]:
        """The good rows of a file, named by Content-Disposition or judged by its first
        bytes. Raises ParseError when the file is refused."""
        message = Message()
        message["Content-Disposition"] = headers.get("Content-Disposition", "")
        name = message.get_filename() or ("x.xlsx" if body[:4] == ZIP else "x.csv")
        try:
            read = self._read(stream, name, body, manual.Ids())
        except Unreadable as error:
            raise ParseError(f"{name} {error}") from None
        for record in read.records:
            record["file"] = name
        return read.records

    def check(self) -> list[str]:
        """List what is there, by folder; name what lies in no folder that is read."""
        found = self._place().list("")
        lines, known = [], {each.name for each in STREAMS}
        for name in sorted(known):
            here = [f for f in found if PurePosixPath(f.name).parts[0] == name]
            lines.append(f"{name}/: {len([f for f in here if '/' in f.name])} files")
        for each in found:
            if PurePosixPath(each.name).parts[0] not in known or "/" not in each.name:
                lines.append(f"not read, in none of these folders: {each.name}")
        return lines

    def _read(
        self, stream: Stream, name: str, body: bytes, ids: manual.Ids
    ) -> manual.Reading:
        return tables.read(
            name,
            body,
            PLANS[stream.name],
            zone=ZoneInfo(self.account.time_zone),
            ids=ids,
            most_rows=self.settings.most_rows,
        )

    def _place(self) -> places.Place:
        path = self.settings.path
        if not path.startswith("s3://"):
            return places.Folder(settings.home() / path)
        match = _BUCKET.fullmatch(path)
        assert match is not None, "the settings are checked"
        prefix = match["prefix"] or ""
        region = self.settings.region
        return places.Bucket(
            self.client, self.connection, match["bucket"], prefix, region
        )


def _refused(where: str, reason: str, key: str | None = None) -> JsonBatch:
    """A whole file is refused. Without a key nothing is taken for gone meanwhile."""
    return JsonBatch([], refused=(manual.refusal(where, reason, key),))
