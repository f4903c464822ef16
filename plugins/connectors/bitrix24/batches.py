"""Bitrix24's `batch`: up to 50 commands in one request, none of whose answers is lost.

PHP writes an empty map as `[]`; under load an answer, or a part of it, stays out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base.errors import FatalError, ParseError
from connectors.bitrix24.errors import PASSING

if TYPE_CHECKING:
    from connectors.base.batch import Record
    from connectors.base.client import ApiClient

ASK_AGAIN = 2.0  # seconds between tries of commands that a batch lost
ASK_BUDGET = 60.0
DEAL = "deal_"  # names of commands must not be numbers: errors would lose them


def contacts_of_deals(client: ApiClient, deals: list[Record]) -> Record:
    """Contacts of at most 50 deals (ID, CONTACT_ID) by command, `deal_<id>`.

    A deal deleted meanwhile is left out; one with a CONTACT_ID cannot have none. Raises
    as `send` does.
    """
    method = "crm.deal.contact.items.get"
    commands = {f"{DEAL}{deal['ID']}": f"{method}?id={deal['ID']}" for deal in deals}
    not_empty = {
        f"{DEAL}{deal['ID']}"
        for deal in deals
        if deal.get("CONTACT_ID") not in (None, "", "0", 0)
    }
    return send(client, commands, not_empty)


def send(client: ApiClient, commands: dict[str, str], not_empty: set[str]) -> Record:
    """Results by command; one refused with "Not found" is left out.

    A command without an answer, or with an empty one where it cannot be, is sent
    again. Raises FatalError for another refusal, RetriableError when answers are
    still missing after ASK_BUDGET seconds, ParseError for another shape.
    """
    found: Record = {}
    left = dict(commands)

    def ask() -> int:
        content = client.post("batch", {"halt": 0, "cmd": left}).json()
        results, errors = parts(
            content.get("result") if isinstance(content, dict) else None
        )
        if strange := [key for key in (*results, *errors) if key not in left]:
            raise ParseError(f"batch: answers that were not asked for: {strange}")
        for key, result in results.items():
            if result or key not in not_empty:
                found[key] = result
                del left[key]
        for key, error in errors.items():
            said = error if isinstance(error, dict) else {}
            if str(said.get("error_description")).startswith("Not found"):
                left.pop(key, None)
            elif said.get("error") not in PASSING:
                raise FatalError(f"batch: {commands[key]}: {error}")
        return len(left)

    client.poll(
        ask,
        lambda missing: ASK_AGAIN if missing else None,
        what="the rest of a batch",
        budget=ASK_BUDGET,
    )
    return found


def parts(result: Any) -> tuple[Record, Record]:
    """(results, errors) by command, from the `result` of a batch's answer.

    Raises ParseError for another shape, and when errors came as a list: nobody knows
    whose they are.
    """
    if result == []:
        return {}, {}
    if not isinstance(result, dict):
        raise ParseError("batch: the answer has no results")
    return _by_command(result, "result"), _by_command(result, "result_error")


def _by_command(result: Record, name: str) -> Record:
    part = result.get(name) or {}
    if not isinstance(part, dict):
        raise ParseError(
            f"batch: {name} came without the commands' names: {len(part)} entries"
        )
    return part
