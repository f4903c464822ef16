"""What an account sets in sources.yml: its own lead fields, and how fast we ask."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic import Field as Setting

from connectors.amocrm.custom_fields import LeadFields


class AmoSettings(BaseModel):
    """`fields` maps a lead's own fields; the rest is for accounts that are slow."""

    model_config = ConfigDict(extra="forbid")
    fields: LeadFields = LeadFields()
    requests_per_second: float = Setting(default=6, gt=0, le=7)
    page_size: int = Setting(default=250, ge=1, le=250)
