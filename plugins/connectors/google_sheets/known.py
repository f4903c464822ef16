"""What the Sheets API says besides our sheets; `replay` names it."""

from connectors.base.recognise import Known

KNOWN = (
    Known(
        "a range of cells under other columns",
        has=("range", "values"),
        rows="values",
        told=lambda content: f"{len(content['values'])} rows of cells",
    ),
)
