"""Fields that an account's owner made: which of them hold what we ask for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, PositiveInt

from connectors.base.errors import FatalError
from connectors.base.stream import Stream, fields

if TYPE_CHECKING:
    from collections.abc import Collection


class LeadFields(BaseModel):
    """Ids of a lead's own fields; None: the account has no such field.

    Amounts are in the account's currency. Names of fields may repeat, ids do not.
    """

    model_config = ConfigDict(extra="forbid")

    margin: PositiveInt | None = None
    refund_amount: PositiveInt | None = None
    refund_date: PositiveInt | None = None
    ym_client_id: PositiveInt | None = None
    ga_client_id: PositiveInt | None = None

    @property
    def mapped(self) -> dict[str, int]:
        """What is mapped, and to which field's id."""
        return {what: number for what, number in self if number is not None}

    def declared_in(self, stream: Stream) -> Stream:
        """The stream with the mapped fields, each under its id as text."""
        if stream.name != "leads":
            return stream
        names = dict.fromkeys(str(number) for number in self.mapped.values())
        return replace(stream, fields=stream.fields + fields(*names))

    def refuse_unknown(self, known: Collection[int]) -> None:
        """Raise FatalError when leads have no field of a mapped id.

        A lead only shows fields that are filled in, so a wrong id would quietly be
        empty everywhere.
        """
        for what, number in self.mapped.items():
            if number not in known:
                raise FatalError(
                    f"sources.yml: settings.fields.{what} names {number}, but leads "
                    "have no such field: see the ids in the field's settings in "
                    "amoCRM, or leave it out"
                )

    def lines(self) -> list[str]:
        """For a person: where each value is read from."""
        return [
            f"{what} is read from field {number}"
            if number
            else f"{what} is not mapped (settings.fields.{what})"
            for what, number in self
        ]
