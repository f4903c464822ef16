"""Recorded answers of real vendors in place of the simulated company.

The index says which request each answer belongs to; its format is in
`simulator/README.md`. Nothing is made up: a request no entry matches gets 404.
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped,unused-ignore]

from simulator.face import Request, Response, json_response

if TYPE_CHECKING:
    from pathlib import Path

CONTENT_TYPES = {
    ".json": "application/json; charset=utf-8",
    ".tsv": "text/tab-separated-values; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".xml": "text/xml; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}
KEYS = {
    "source",
    "stream",
    "method",
    "path",
    "query",
    "json",
    "status",
    "headers",
    "file",
    "text",
    "once",
    "repeat",
}


@dataclass
class Recording:
    """One entry of the index. `left` is how often it may still answer (None: ever)."""

    source: str
    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    json: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    left: int | None = None

    def matches(self, source: str, request: Request) -> bool:
        """Does this answer belong to the request?"""
        if (source, request.method) != (self.source, self.method):
            return False
        if self.path.startswith("^"):
            if re.fullmatch(self.path, request.path) is None:
                return False
        elif self.path != request.path:
            return False
        if any(
            value not in request.query.get(k, []) for k, value in self.query.items()
        ):
            return False
        if self.json is None:
            return True
        try:
            return contains(request.json(), self.json)
        except ValueError:
            return False


def contains(whole: object, part: object) -> bool:
    """Is `part` found in `whole`: a mapping by its keys, a list item by item in order."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and contains(whole[key], value) for key, value in part.items()
        )
    if isinstance(part, list):
        return (
            isinstance(whole, list)
            and len(whole) == len(part)
            and all(contains(a, b) for a, b in zip(whole, part, strict=True))
        )
    return type(whole) is type(part) and whole == part


class Recorded:
    """Answers from a folder by an index; the first entry that matches wins."""

    def __init__(self, recordings: list[Recording]) -> None:
        self._recordings = recordings
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path, index: Path) -> Recorded:
        """Read an index. Raises ValueError naming the entry and what is wrong with it."""
        content = yaml.safe_load(index.read_text("utf-8"))
        if not isinstance(content, list):
            raise ValueError(f"{index.name}: the index must be a list of answers")
        return cls(
            [_entry(number, row, folder) for number, row in enumerate(content, 1)]
        )

    def answer(self, source: str, request: Request) -> Response:
        """The recorded answer; 404 in JSON that names the request when there is none."""
        with self._lock:
            for entry in self._recordings:
                if entry.left != 0 and entry.matches(source, request):
                    if entry.left is not None:
                        entry.left -= 1
                    return Response(entry.status, dict(entry.headers), entry.body)
        body = request.body.decode("utf-8", "replace")
        return json_response(
            {
                "error": "no recorded answer",
                "request": {
                    "source": source,
                    "method": request.method,
                    "path": request.path,
                    "query": request.query,
                    "body": body[:2000],
                },
            },
            404,
        )

    def unauthorized(self, source: str, request: Request) -> Response:
        """A plain 401: a recording knows no vendor's way to say it."""
        return json_response({"error": "unauthorized"}, 401)

    def sources(self) -> list[str]:
        """The sources the index names."""
        return sorted({entry.source for entry in self._recordings})


def _entry(number: int, row: object, folder: Path) -> Recording:
    where = f"answer {number}"
    if not isinstance(row, dict):
        raise ValueError(f"{where}: must be a mapping")
    for name in row:
        if name not in KEYS:
            raise ValueError(f"{where}: {name}: unknown; there are {sorted(KEYS)}")
    for name in ("source", "path"):
        if not isinstance(row.get(name), str):
            raise ValueError(f"{where}: {name}: missing or no text")
    path = str(row["path"])
    if not path.startswith(("/", "^/")):
        raise ValueError(f"{where}: path: must begin with / (or ^/ for an expression)")
    try:
        re.compile(path if path.startswith("^") else "")
    except re.error as error:
        raise ValueError(f"{where}: path: {error}") from error
    if "file" in row and "text" in row:
        raise ValueError(f"{where}: file and text: give one of them")
    if row.get("once") and row.get("repeat"):
        raise ValueError(f"{where}: once and repeat: give one of them")
    body, content_type = str(row.get("text", "")).encode(), "text/plain; charset=utf-8"
    if "file" in row:
        file = (folder / str(row["file"])).resolve()
        if not file.is_relative_to(folder.resolve()) or not file.is_file():
            raise ValueError(f"{where}: file: no {row['file']} in the folder")
        body = file.read_bytes()
        content_type = CONTENT_TYPES.get(file.suffix, content_type)
    headers = {"Content-Type": content_type}
    given = {
        str(name): str(value) for name, value in _mapping(where, row, "headers").items()
    }
    if any(name.lower() == "content-type" for name in given):
        headers = {}
    status = row.get("status", 200)
    if type(status) is not int or not 200 <= status <= 599:
        raise ValueError(f"{where}: status: {status!r} is no HTTP status")
    return Recording(
        source=str(row["source"]),
        method=str(row.get("method", "GET")).upper(),
        path=path,
        query={str(k): str(v) for k, v in _mapping(where, row, "query").items()},
        json=row.get("json"),
        status=status,
        headers=headers | given,
        body=body,
        left=_times(where, row),
    )


def _times(where: str, row: dict[str, Any]) -> int | None:
    if row.get("once"):
        return 1
    repeat = row.get("repeat", True)
    if repeat is True or repeat is None:
        return None
    if type(repeat) is int and repeat > 0:
        return repeat
    raise ValueError(f"{where}: repeat: a number of times, or true for ever")


def _mapping(where: str, row: dict[str, Any], name: str) -> dict[Any, Any]:
    value = row.get(name) or {}
    if not isinstance(value, dict):
        raise ValueError(f"{where}: {name}: must be a mapping")
    return value
