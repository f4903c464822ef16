"""What Direct says besides our reports and lists; `replay` names it."""

from connectors.base.recognise import Known

KNOWN = (
    Known("a report of other columns", columns=("Impressions", "Clicks", "Cost")),
    Known(
        "an order of a report",
        has=("params.ReportName", "params.FieldNames"),
        why="it goes to the vendor; `reports.order` makes ours",
        rows="params.FieldNames",
        names=("params.FieldNames.*",),
    ),
    Known(
        "an agency's clients",
        has=("result.Clients.*.Login",),
        why="one account of sources.yml reads one client (settings.client_login)",
        rows="result.Clients",
    ),
)
