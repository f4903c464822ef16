"""What amoCRM says besides pages of the API: webhooks, and exports made by hand."""

from typing import Any

from connectors.base.recognise import Known, at, ids_at

_KINDS = ("leads", "contacts")


def _hook(content: Any) -> str:
    said = [
        f"{kind} {ids_at(content, f'{kind}.{action}.*.id')} ({action[:20]})"
        for kind in _KINDS
        for hook in at(content, kind)
        if isinstance(hook, dict)
        for action in hook
    ]
    return f"{'; '.join(said)}: the next run reads them again"


KNOWN = (
    *(
        Known(
            "a webhook",
            has=(f"{kind}.*.*.id", "account"),
            why="it tells of what changed under other names than the API's",
            told=_hook,
        )
        for kind in _KINDS
    ),
    Known(
        "an export made by hand",
        columns=("ID", "Название сделки", "Дата создания сделки"),
        why="the API gives the same leads with the ids of people and stages; a CRM that "
        "can only export is read by source files",
    ),
    Known("a page of another list", has=("_embedded.*.*.id",), rows="_embedded.*"),
)
