"""The Data API's errors: which pass by themselves, and what the owner does about others.

They come under HTTP 200 as `{"error": {"code", "message", "data": {"mnemonic", …}}}`.
Only the mnemonic tells them apart: a code stands for many (README.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from connectors.base.connection import conn_id_of
from connectors.base.errors import ConnectorError, FatalError, RetriableError
from connectors.base.redaction import excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from connectors.base.client import Answer

A_MINUTE = 60.0  # to wait when the answer does not say how much of it is left
WITHOUT_A_VALID_KEY = {
    "access_token_expired",
    "access_token_blocked",
    "access_token_invalid",
    "auth_error",
}
NEW_KEY = (
    "issue a permanent key in the cabinet (Администратор, Управление пользователями, "
    "the user's API key) and put it into field password of the connection; a key of "
    "comagic.ru is not valid at uiscom.ru, and the other way round"
)
WHAT_TO_DO: Mapping[str, str] = {
    "ip_not_whitelisted": "add this machine's outgoing IP address to the list in the "
    "cabinet (Администратор, Аккаунт, Правила и настройки безопасности, API); an agent "
    "has to add it in the client's account",
    "forbidden": "give the key's user the right to read this report in the cabinet",
    "method_component_disabled": "the account's plan lacks what this report needs: "
    "connect it, or leave the account out of sources.yml",
    "parameter_component_disabled": "the account's plan lacks what this field needs: "
    "connect it",
    "account_inactive": "the account is switched off: see its balance in the cabinet",
}
"""Mnemonics that do not pass: what the owner does."""


class NoValidKey(FatalError):
    """The key is wrong, blocked, or its session of an hour is over."""


def judge(answer: Answer) -> ConnectorError | None:
    """The error an answer holds; None without one, or where the status says enough."""
    if answer.status != 200:
        return None
    return error_in(answer.json_or_none(), answer.label)


def error_in(content: Any, label: str) -> ConnectorError | None:
    """The error of a JSON-RPC answer, in words for the owner; None without one."""
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict):
        return None
    data = error.get("data")
    data = data if isinstance(data, dict) else {}
    mnemonic = str(data.get("mnemonic") or "")
    text = excerpt(str(error.get("message", "")).encode())
    said = f"{label}: {mnemonic or error.get('code')}: {text}"
    if data.get("field"):
        said += f" (field {excerpt(str(data['field']).encode(), 60)})"
    if mnemonic == "limit_exceeded":
        return _limit(data, said)
    if mnemonic == "internal_error":
        return RetriableError(said)
    if mnemonic in WITHOUT_A_VALID_KEY:
        where = f" {conn_id_of(label)}" if "/" in label else ""
        return NoValidKey(f"{said}; {NEW_KEY}{where}")
    todo = WHAT_TO_DO.get(
        mnemonic, "the request does not fit the API: report this to the maintainers"
    )
    return FatalError(f"{said}; {todo}")


def _limit(data: Mapping[str, Any], said: str) -> ConnectorError:
    """A minute's limit is waited for; a day's is for another day."""
    params, meta = data.get("params"), data.get("metadata")
    limits = meta.get("limits") if isinstance(meta, dict) else None
    limits = limits if isinstance(limits, dict) else {}
    kind = params.get("limit_type") if isinstance(params, dict) else None
    if kind == "day" or limits.get("day_remaining") == 0:
        left = _seconds(limits.get("day_reset"))
        when = f"in {left / 3600:.1f} hours" if left else "tomorrow"
        return FatalError(
            f"{said}; the account's points of this day are used up, run again {when}, "
            "or ask the vendor for a higher limit"
        )
    left = _seconds(limits.get("minute_reset"))
    return RetriableError(said, retry_after=A_MINUTE if left is None else left)


def _seconds(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= 86_400 else None
