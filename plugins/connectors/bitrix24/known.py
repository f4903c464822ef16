"""What a portal says besides our lists: other lists, batches, events that it sends."""

from typing import Any

from connectors.base.recognise import Known, at, ids_at

_OF_KIND = {"LEAD": "leads", "DEAL": "deals", "CONTACT": "contacts"}


def _event(content: Any) -> str:
    name = str(content["event"]).upper()
    ids = ids_at(content, "data.FIELDS.ID")
    stream = next((s for kind, s in _OF_KIND.items() if f"CRM{kind}" in name), "")
    if not stream:
        return f"{name[:40]} of {ids}, which no stream reads"
    later = "finds it gone at its sweep" if "DELETE" in name else "reads it again"
    return f"{name[:40]} names {stream} {ids}: the next run {later}"


def _batch(content: Any) -> str:
    results = at(content, "result.result.*")
    errors = at(content, "result.result_error.*.error_description")
    failed = f", {len(errors)} failed" + f" ({'; '.join(map(str, errors))})" * bool(
        errors
    )
    return f"{len(results)} commands were answered{failed[:300]}"


KNOWN = (
    Known(
        "an event",
        has=("event", "data.FIELDS.ID"),
        why="an event names an object and does not hold it",
        told=_event,
    ),
    Known(
        "a batch of which some failed",
        has=("result.result_error",),
        told=_batch,
        rows="result.result.*",
    ),
    Known("a batch", has=("result.result.*",), told=_batch, rows="result.result.*"),
    Known("a list of items", has=("result.items.*.id",), rows="result.items"),
    Known("an item", has=("result.item.id",), rows="result.item"),
    Known("a list", has=("result.*.ID",), rows="result"),
)
