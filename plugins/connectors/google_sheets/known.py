"""What the Sheets API says besides our sheets; `replay` names it."""

from connectors.base.recognise import Known, at

KNOWN = (
    Known(
        "a range of cells under other columns",
        has=("range", "values"),
        rows="values",
        told=lambda content: f"{len(at(content, 'values.*'))} rows of cells",
    ),
)
