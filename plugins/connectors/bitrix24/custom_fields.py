"""What an account sets: which of its own fields hold what we ask for, and its plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints
from pydantic import Field as Setting

from connectors.base.errors import FatalError
from connectors.base.stream import Stream, fields

if TYPE_CHECKING:
    from collections.abc import Container

Code = Annotated[str, StringConstraints(pattern=r"^UF_CRM_\w+$")]


class CustomFields(BaseModel):
    """Codes (UF_CRM_…) of a deal's own fields; None: the portal has no such field.

    Amounts are in the deal's currency. A lead may hold `ym_client_id`, too.
    """

    model_config = ConfigDict(extra="forbid")

    margin: Code | None = None
    refund_amount: Code | None = None
    refund_date: Code | None = None
    ym_client_id: Code | None = None

    def declared_in(self, stream: Stream) -> Stream:
        """The stream with the mapped fields it may hold, each once."""
        if stream.name not in ("leads", "deals"):
            return stream
        mapped = self._mapped()
        client_id = mapped.pop("ym_client_id", None)
        plain = mapped.values() if stream.name == "deals" else ()
        custom = fields(*plain, ids=(client_id,) if client_id else ())
        known = {each.name for each in stream.fields}
        new = tuple(each for each in custom if each.name not in known)
        return replace(stream, fields=stream.fields + new)

    def refuse_unknown(self, known: Container[str]) -> None:
        """Raise FatalError when a mapped field is not among those a deal has.

        The portal passes over names it does not know: the field would be empty.
        """
        for what, code in self._mapped().items():
            if code not in known:
                raise FatalError(
                    f"sources.yml: settings.fields.{what} names {code}, but a deal has "
                    "no such field: see the codes in CRM, Settings, Custom fields, or "
                    "leave it out"
                )

    def lines(self) -> list[str]:
        """For a person: where each value is read from."""
        return [
            f"{what} is read from {code}"
            if code
            else f"{what} is not mapped (settings.fields.{what})"
            for what, code in self
        ]

    def _mapped(self) -> dict[str, str]:
        return {what: code for what, code in self if code is not None}


class BitrixSettings(BaseModel):
    """`fields` maps custom fields; the limits are those of the portal's plan."""

    model_config = ConfigDict(extra="forbid")
    fields: CustomFields = CustomFields()
    requests_per_second: float = Setting(default=2, gt=0)
    burst: int = Setting(default=50, ge=1)
