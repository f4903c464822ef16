"""What Google Ads says besides searches; `replay` names it."""

from connectors.base.recognise import Known, at

KNOWN = (
    Known(
        "the accounts this user sees",
        has=("resourceNames",),
        why="settings.customer_id names the one to read",
        rows="resourceNames",
        told=lambda content: f"{len(at(content, 'resourceNames.*'))} accounts",
    ),
    Known(
        "a search of other fields",
        has=("results",),
        rows="results",
    ),
    Known(
        "a search of other fields, as a stream",
        has=("*.results",),
        rows="*.results",
    ),
)
