"""Bitrix24's `batch`: up to 50 commands in one request, none of whose answers is lost.

PHP writes an empty map as `[]`; under load an answer, or a part of it, stays out. A
batch is one request to the portal's bucket, so that a whole list read in batches takes
a fortieth of the requests (and of the time) that its pages would.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from connectors.base.errors import FatalError, ParseError
from connectors.bitrix24.errors import PASSING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from connectors.base.batch import Record
    from connectors.base.client import ApiClient

COMMANDS = 50  # in one batch, by the vendor
ASK_AGAIN = 2.0  # seconds between tries of commands that a batch lost
ASK_BUDGET = 60.0
DEAL = "deal_"  # names of commands must not be numbers: errors would lose them


@dataclass(frozen=True)
class Found:
    """What commands were answered, by their names; `time` is that of the last answer.

    `totals` are of the lists that were counted.
    """

    results: Record
    totals: Record
    time: Record


def command(method: str, *params: str) -> str:
    """A call as a batch has it; `params` are written by `encoded`."""
    return f"{method}?{'&'.join(params)}"


def encoded(params: Mapping[str, Any]) -> str:
    """Parameters as PHP reads them from an address."""
    return "&".join([f"{name}={_quoted(str(value))}" for name, value in _flat(params)])


def send(
    client: ApiClient,
    commands: dict[str, str],
    is_whole: Callable[[str, Any, Any], bool],
) -> Found:
    """Results by command; one refused with "Not found" is left out.

    A command without an answer, or with one that `is_whole` (name, result, total) does
    not believe, is sent again. Raises FatalError for another refusal, RetriableError
    when answers are still missing after ASK_BUDGET seconds, ParseError for another
    shape.
    """
    found = Found({}, {}, {})
    left = dict(commands)

    def ask() -> int:
        content = client.post("batch", {"halt": 0, "cmd": left}).json()
        content = content if isinstance(content, dict) else {}
        result = content.get("result")
        results, errors = parts(result)
        totals = _by_command(result, "result_total") if isinstance(result, dict) else {}
        found.time.update(content.get("time") or {})
        if strange := [key for key in (*results, *errors) if key not in left]:
            raise ParseError(f"batch: answers that were not asked for: {strange}")
        for key, result in results.items():
            if is_whole(key, result, totals.get(key)):
                found.results[key] = result
                found.totals[key] = totals.get(key)
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


_quoted = lru_cache(4096)(quote)


def _flat(value: Any, name: str = "") -> list[tuple[str, Any]]:
    """`filter[>ID]=5`, `select[0]=ID`: nested parameters as PHP's."""
    if isinstance(value, dict):
        items = [(_quoted(str(key)), each) for key, each in value.items()]
    elif isinstance(value, list):
        items = [(str(at), each) for at, each in enumerate(value)]
    else:
        return [(name, value)]
    return [
        pair
        for key, each in items
        for pair in _flat(each, f"{name}[{key}]" if name else key)
    ]
