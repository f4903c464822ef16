"""sources.yml: which sources and accounts this deployment reads."""

from __future__ import annotations

import re
from pathlib import Path  # noqa: TC003 - pydantic and callers need it at run time
from typing import Any
from zoneinfo import ZoneInfo

import yaml  # type: ignore[import-untyped,unused-ignore]
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from connectors.base import connection, settings
from connectors.base.errors import ConfigError

_NAME = re.compile(r"[a-z0-9_]+")
# Roles whose sources share the names of their accounts: deals of two CRMs, calls of two
# trackers meet in one table, where (account, id) is the key.
SOLITARY = frozenset({"crm", "calls", "analytics"})


def _known_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(
            f"{value!r} is not a known time zone, write an IANA name such as "
            "Europe/Moscow"
        ) from error
    return value


class Account(BaseModel):
    """One account of one source, as sources.yml has it.

    `time_zone` is that of its civil days, `vat_included` whether money in its answers
    has VAT; `phone_region` (ISO 3166) is the country of numbers without a code;
    `history_days` narrows how far back all its streams are read.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    account: str
    time_zone: str
    currency_code: str
    vat_included: bool
    required: bool = True
    phone_region: str = "RU"
    history_days: int | None = Field(default=None, gt=0)
    settings: dict[str, Any] = Field(default_factory=dict)

    @property
    def account_id(self) -> str:
        """How raw tables name this account."""
        return self.account

    @property
    def conn_id(self) -> str:
        """Id of the Airflow connection that holds this account's credentials."""
        return connection.conn_id(self.source, self.account)

    def __str__(self) -> str:
        return f"{self.source}/{self.account}"

    @field_validator("account")
    @classmethod
    def _plain_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value) or "__" in value:
            raise ValueError(
                f"{value!r} must be of a-z, 0-9 and single _ (it is part of the "
                "connection's name)"
            )
        return value

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return _known_zone(value)

    @field_validator("currency_code")
    @classmethod
    def _currency(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{3}", value):
            raise ValueError(f"{value!r} is no ISO 4217 code, write one such as RUB")
        return value

    @field_validator("phone_region")
    @classmethod
    def _region(cls, value: str) -> str:
        if not re.fullmatch("[A-Z]{2}", value):
            raise ValueError(f"{value!r} is no ISO 3166 country, write one such as RU")
        return value


class Sources(BaseModel):
    """The whole of sources.yml; `reporting_time_zone` is that of the marts' days."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reporting_time_zone: str
    sources: tuple[Account, ...] = Field(min_length=1)

    @field_validator("reporting_time_zone")
    @classmethod
    def _zone(cls, value: str) -> str:
        return _known_zone(value)

    def get(self, source: str, account: str | None = None) -> Account:
        """The account of this source; its only one when `account` is None.

        Raises ConfigError when there is none, or several to choose from.
        """
        of_source = [each for each in self.sources if each.source == source]
        if not of_source:
            known = ", ".join(sorted({each.source for each in self.sources}))
            raise ConfigError(
                f"source {source!r} is not in sources.yml (there: {known})"
            )
        names = ", ".join(each.account for each in of_source)
        if account is None:
            if len(of_source) > 1:
                raise ConfigError(
                    f"{source} has several accounts, name one of: {names}"
                )
            return of_source[0]
        for each in of_source:
            if each.account == account:
                return each
        raise ConfigError(f"{source} has no account {account!r} (there: {names})")


def load_sources(path: Path | str | None = None) -> Sources:
    """Read and check sources.yml (default: THROUGHLINE_SOURCES, include/sources.yml).

    Raises ConfigError, one line that names the field and the fix.
    """
    # The registry imports the connectors, and those import this module.
    from connectors.base import registry

    file = settings.sources_path() if path is None else settings.home() / path
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read {file}: {error.strerror}; set THROUGHLINE_SOURCES to the "
            "path of sources.yml"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{file} is not YAML: {' '.join(str(error).split())}"
        ) from None
    if not isinstance(content, dict):
        raise ConfigError(
            f"{file} is empty or not a mapping: it needs reporting_time_zone and sources"
        )
    try:
        sources = Sources.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{file}: {explain(error, content)}") from None
    seen: set[str] = set()
    taken: dict[tuple[str, str], str] = {}
    for index, account in enumerate(sources.sources):
        where = f"{file}: sources[{index}] ({account})"
        if account.source not in registry.names():
            raise ConfigError(
                f"{where}: source {account.source!r} is unknown, write one of: "
                f"{', '.join(registry.names())}"
            )
        if str(account) in seen:
            raise ConfigError(f"{where}: account appears twice, give each its own name")
        seen.add(str(account))
        registry.validate_settings(account, where)
        role = registry.connector_class(account.source).role
        other = taken.setdefault((role, account.account), account.source)
        if role in SOLITARY and other != account.source:
            raise ConfigError(
                f"{where}: account {account.account!r} is also the name of an account of "
                f"{other}; give one of the two another name, since records of both meet "
                "in the same tables"
            )
    return sources


def explain(error: ValidationError, content: Any = None) -> str:
    """The first of pydantic's complaints as one line: field, then what is wrong."""
    first = error.errors(include_url=False, include_context=False)[0]
    path = ""
    here = content
    for part in first["loc"]:
        if isinstance(part, int):
            path += f"[{part}]"
            here = here[part] if isinstance(here, list) and part < len(here) else None
            if isinstance(here, dict) and "source" in here:
                path += f" ({here.get('source')}/{here.get('account')})"
        else:
            path += ("." if path else "") + str(part)
            here = here.get(part) if isinstance(here, dict) else None
    message = {
        "missing": "is missing, add it",
        "extra_forbidden": "is not a known field, remove it or check its spelling",
    }.get(first["type"], first["msg"].removeprefix("Value error, "))
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    return f"{path}: {message}{more}"
