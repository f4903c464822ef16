"""Metrica's goals: their names, which logs know by number only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base.errors import ParseError
from connectors.base.stream import objects, outline

if TYPE_CHECKING:
    from connectors.base.batch import Record
    from connectors.base.client import ApiClient
    from connectors.base.stream import Stream

WHAT = "yandex_metrica goals"


def read(client: ApiClient, counter_id: int, stream: Stream) -> list[Record]:
    """Every goal of the counter in one answer, deleted ones too: visits know them.

    Raises ParseError for another shape, else as the client does.
    """
    path = f"management/v1/counter/{counter_id}/goals"
    return listed(stream, client.get(path, {"useDeleted": "true"}).json())


def listed(stream: Stream, value: Any) -> list[Record]:
    """The goals in an answer. Raises ParseError."""
    found = value.get("goals") if isinstance(value, dict) else None
    if not isinstance(found, list):
        raise ParseError(f"{WHAT}: no list of goals: {outline(value)}")
    return objects(stream, found, WHAT)
