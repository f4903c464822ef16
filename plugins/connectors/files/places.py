"""Where files are dropped: a folder of this machine, or a bucket that speaks S3."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree

from connectors.base.errors import FatalError, ParseError, RetriableError
from connectors.base.tables import plain_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from connectors.base.client import ApiClient
    from connectors.base.connection import ConnectionInfo

MOST_FILES = 10_000
_EMPTY = hashlib.sha256(b"").hexdigest()
_MD5 = re.compile(r'"?([0-9a-f]{32})"?')


@dataclass(frozen=True)
class Found:
    """A file that is there: its name below the stream's folder, its size in bytes."""

    name: str
    size: int
    path: str
    etag: str = ""


class Place(Protocol):
    """Lists and reads files."""

    def list(self, folder: str) -> list[Found]:
        """The files below a folder ("" for all), by name.

        Raises FatalError when the place is not there, RetriableError.
        """

    def read(self, file: Found) -> bytes:
        """A file, whole. Raises RetriableError when it changes meanwhile."""


def is_passed_over(name: str) -> bool:
    """Is it no file of ours: hidden, or the lock file of an open workbook?"""
    parts = PurePosixPath(name).parts
    return any(part.startswith((".", "~$")) for part in parts) or parts[-1] in (
        "Thumbs.db",
        "desktop.ini",
    )


class Folder:
    """A folder of this machine. Links are not followed: they may lead anywhere."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self, folder: str) -> list[Found]:
        """See `Place`; a folder without the stream's subfolder has no such files."""
        if not self._root.is_dir():
            raise FatalError(
                f"there is no folder {self._root}; make it, or mend settings.path"
            )
        found = []
        top = self._root / folder
        for at, folders, names in os.walk(top):
            folders[:] = [
                each for each in folders if not (Path(at) / each).is_symlink()
            ]
            for each in names:
                path = Path(at) / each
                name = plain_name(path.relative_to(top).as_posix())
                if (
                    path.is_file()
                    and not path.is_symlink()
                    and not is_passed_over(name)
                ):
                    found.append(Found(name, path.stat().st_size, str(path)))
        return sorted(found, key=lambda each: each.name)

    def read(self, file: Found) -> bytes:
        """See `Place`."""
        path = Path(file.path)
        try:
            before = path.stat()
            body = path.read_bytes()
            after = path.stat()
        except OSError as error:
            raise RetriableError(
                f"{file.name} cannot be read: {error.strerror}"
            ) from None
        if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, len(body)):
            raise RetriableError(f"{file.name} is being written; read it again later")
        return body


class Bucket:
    """A bucket behind the S3 API, by ListObjectsV2 and GetObject in path style.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
    """

    def __init__(
        self,
        client: ApiClient,
        connection: ConnectionInfo,
        bucket: str,
        prefix: str,
        region: str,
    ) -> None:
        self._client = client
        self._connection = connection
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._region = region

    def list(self, folder: str) -> list[Found]:
        """See `Place`. Every page says whether more follow; keys must grow."""
        prefix = self._prefix + (f"{folder}/" if folder else "")
        found: list[Found] = []
        last, token = "", ""
        while True:
            asked = {"list-type": "2", "prefix": prefix}
            if token:
                asked["continuation-token"] = token
            page = _Listing(self._get(self._bucket, asked), prefix)
            for key, size, etag in page.files():
                if key <= last:
                    raise ParseError(f"bucket {self._bucket}: a key came twice")
                last = key
                name = plain_name(key[len(prefix) :])
                if name and not key.endswith("/") and not is_passed_over(name):
                    found.append(Found(name, size, key, etag))
            if len(found) > MOST_FILES:
                raise FatalError(f"bucket {self._bucket}: over {MOST_FILES} files")
            if page.next is None:
                return found
            if page.next == token:
                raise ParseError(
                    f"bucket {self._bucket}: a page of the list came twice"
                )
            token = page.next

    def read(self, file: Found) -> bytes:
        """See `Place`. Held to the size and, where the list has it, the MD5 sum."""
        body = self._get(f"{self._bucket}/{file.path}", {})
        md5 = _MD5.fullmatch(file.etag)
        if len(body) != file.size or (
            md5 and md5[1] != hashlib.md5(body, usedforsecurity=False).hexdigest()
        ):
            raise RetriableError(
                f"{file.name}: what came is not what the list says is there; it was "
                "replaced meanwhile, or cut"
            )
        return body

    def _get(self, path: str, query: dict[str, str]) -> bytes:
        # requests would write a space as "+", which is signed otherwise
        text = "&".join(
            f"{name}={quote(value, safe='')}" for name, value in sorted(query.items())
        )
        path = quote(path, safe="/")
        base = urlsplit(self._connection.base_url or "")
        headers = signed(
            host=base.netloc,
            path=f"{base.path.rstrip('/')}/{path}",
            query=text,
            region=self._region,
            access_key=self._connection.login,
            secret_key=self._connection.password,
            at=datetime.now(UTC),
        )
        return self._client.request(
            "GET", f"{path}?{text}" if text else path, headers=headers, expect="any"
        ).body


class _Listing:
    """One page of a list. Raises ParseError when it is none, or contradicts itself."""

    def __init__(self, body: bytes, prefix: str) -> None:
        wrong = ParseError("the bucket's list is not what ListObjectsV2 gives")
        if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
            raise wrong
        try:
            root = ElementTree.fromstring(body)  # noqa: S314 - no entities are in it
        except ElementTree.ParseError:
            raise wrong from None
        self._space = root.tag.rpartition("}")[0] + "}" if "}" in root.tag else ""
        if root.tag.rpartition("}")[2] != "ListBucketResult":
            raise wrong
        self._root = root
        truncated = self._text(root, "IsTruncated")
        token = self._text(root, "NextContinuationToken")
        self._contents = root.findall(f"{self._space}Contents")
        count = self._text(root, "KeyCount") or str(len(self._contents))
        if (
            truncated not in ("true", "false")
            or (truncated == "true") != bool(token)
            or count != str(len(self._contents))
            or self._text(root, "Prefix") != prefix
        ):
            raise wrong
        self.next = token or None
        self._wrong = wrong

    def files(self) -> Iterator[tuple[str, int, str]]:
        """Key, size in bytes and ETag of each object on the page."""
        for each in self._contents:
            key, size = self._text(each, "Key"), self._text(each, "Size")
            if not key or not size.isdecimal():
                raise self._wrong
            yield key, int(size), self._text(each, "ETag")

    def _text(self, element: ElementTree.Element, name: str) -> str:
        return element.findtext(f"{self._space}{name}") or ""


def signed(
    *,
    host: str,
    path: str,
    query: str,
    region: str,
    access_key: str,
    secret_key: str,
    at: datetime,
) -> dict[str, str]:
    """Headers of a GET signed by AWS Signature Version 4; `path` and `query` encoded.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
    """
    moment = f"{at:%Y%m%dT%H%M%SZ}"
    scope = f"{at:%Y%m%d}/{region}/s3/aws4_request"
    headers = {
        "host": host,
        "x-amz-content-sha256": _EMPTY,
        "x-amz-date": moment,
    }
    names = ";".join(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
    asked = f"GET\n{path}\n{query}\n{lines}\n{names}\n{_EMPTY}"
    digest = hashlib.sha256(asked.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
    return {
        "x-amz-content-sha256": _EMPTY,
        "x-amz-date": moment,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={access_key}/{scope}, "
        f"SignedHeaders={names}, Signature={signature}",
    }
