"""What Metrica says besides logs and goals, and what is uploaded to it."""

from typing import Any

from connectors.base.recognise import Known, at

_SENT = "it goes to the vendor; nothing is uploaded by us"


def _states(content: Any) -> str:
    logs = [*at(content, "log_request"), *at(content, "requests.*")]
    said = [
        f"{str(each.get('source'))[:20]} of {str(each.get('date1'))[:10]} to "
        f"{str(each.get('date2'))[:10]} is {str(each.get('status'))[:30]}, "
        f"{len(at(each, 'parts.*'))} parts"
        for each in logs
        if isinstance(each, dict)
    ]
    return "; ".join(said)


def _evaluation(content: Any) -> str:
    is_possible = True in at(content, "log_request_evaluation.possible")
    days = at(content, "log_request_evaluation.max_possible_day_quantity")
    return f"possible: {is_possible}, at most {', '.join(map(str, days))[:9]} days"


KNOWN = (
    Known(
        "an order of a log",
        has=("log_request.status",),
        why="its parts hold them, once it is processed",
        told=_states,
    ),
    Known(
        "the list of the ordered logs",
        has=("requests.*.status",),
        why="their parts hold them",
        told=_states,
    ),
    Known(
        "whether a log can be made",
        has=("log_request_evaluation",),
        why="it is only asked before an order",
        told=_evaluation,
    ),
    Known(
        "a report of the statistics API",
        has=("query.metrics", "data"),
        why="visits and hits are read one by one from the Logs API",
        rows="data",
        names=("query.dimensions.*", "query.metrics.*"),
    ),
    Known("the receipt for an upload", has=("uploading",), why=_SENT),
    Known(
        "calls to upload", columns=("ClientId", "DateTime", "PhoneNumber"), why=_SENT
    ),
    Known("conversions to upload", columns=("Target", "DateTime"), why=_SENT),
    Known("orders to upload", columns=("id", "order_status"), why=_SENT),
    Known(
        "expenses to upload",
        columns=("Date", "UTMSource", "Expenses"),
        why=_SENT + "; as costs they are read by source files",
    ),
)
