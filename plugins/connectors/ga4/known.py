"""What Google Analytics says besides our reports; `replay` names it."""

from connectors.base.recognise import Known

KNOWN = (
    Known(
        "a report of other columns",
        has=("metricHeaders", "rows"),
        rows="rows",
        names=("dimensionHeaders.*.name", "metricHeaders.*.name"),
    ),
    Known(
        "an event as BigQuery's export has it",
        has=("event_name", "event_timestamp"),
        why="the property is read by reports, not event by event",
    ),
    Known(
        "events for the Measurement Protocol",
        has=("events.*.name", "client_id"),
        why="they go to the vendor",
        rows="events",
    ),
    Known(
        "the Measurement Protocol's opinion of events that were sent",
        has=("validationMessages",),
        why="nothing is sent by us",
        rows="validationMessages",
    ),
)
