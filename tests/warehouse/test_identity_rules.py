"""What people decide about identifiers by hand is judged before and after it counts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Dbt = Callable[..., dict[str, Any]]

ONE_PHONE = ("allow", "phone", "ph1_a", None, None, "hers alone")
ONE_LINK = ("forbid", "crm_contact", "b:main:1", "phone", "ph1_a", "typed wrongly")
SISTERS = ("allow", "crm_contact", "b:main:1", "crm_contact", "b:main:2", "one woman")
TABLES = """
create table staging.identity_rules (
    rule text, kind text, identifier text, other_kind text, other_identifier text,
    reason text
);
create table identity.int_identifiers (kind text, identifier text);
create table identity.identity_edges (
    left_kind text, left_id text, right_kind text, right_id text, evidence text,
    is_joining boolean
);
insert into identity.int_identifiers values
('phone', 'ph1_a'), ('phone', 'ph1_shared'), ('crm_contact', 'b:main:1'),
('crm_contact', 'b:main:2');
insert into identity.identity_edges values
('crm_contact', 'b:main:1', 'crm_contact', 'b:main:2', 'allowed', true),
('crm_contact', 'b:main:1', 'phone', 'ph1_shared', 'allowed', false),
('crm_contact', 'b:main:1', 'phone', 'ph1_shared', 'contact_phone', false);
"""


@pytest.fixture(scope="module")
def rules(warehouse: str, dbt: Dbt) -> Iterator[Callable[..., dict[str, str]]]:
    """Writes rules into the seed's table and runs all tests of it: -> status by name."""
    with psycopg.connect(
        make_conninfo(warehouse, user="transformer"), autocommit=True
    ) as connection:
        connection.execute(TABLES)

        def judge(*lines: tuple[str | None, ...]) -> dict[str, str]:
            connection.execute("truncate staging.identity_rules")
            for line in lines:
                connection.execute(
                    "insert into staging.identity_rules values "
                    "(%s, %s, %s, %s, %s, %s)",
                    line,
                )
            return statuses(dbt("test", "--select", "identity_rules", check=False))

        yield judge


def statuses(results: dict[str, Any]) -> dict[str, str]:
    """Those that are not content."""
    return {
        each["unique_id"].split(".")[2]: each["status"]
        for each in results["results"]
        if each["status"] != "pass"
    }


def test_rules_that_take_effect_are_right(
    rules: Callable[..., dict[str, str]],
) -> None:
    assert rules(ONE_PHONE, ONE_LINK, SISTERS) == {}


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        ([("allow", "phnoe", "ph1_a", None, None, "x")], "names_a_kind_that_there_is"),
        ([("allow", "phone", None, None, None, "x")], "names_an_identifier"),
        (
            [("allow", "phone", "ph1_a", "contact", "b:main:1", "x")],
            "links_to_a_kind_that_there_is",
        ),
        ([("perhaps", "phone", "ph1_a", None, None, "x")], "allows_or_forbids"),
        ([(*ONE_PHONE[:5], None)], "gives_its_reason"),
        ([ONE_PHONE, ("forbid", *ONE_PHONE[1:])], "one_row_per_identifier_or_link"),
        # allowed one way round and forbidden the other
        (
            [ONE_LINK, ("allow", *ONE_LINK[3:5], *ONE_LINK[1:3], "no, hers")],
            "say_one_thing_of_a_link",
        ),
        ([("allow", "phone", "ph1_a", "phone", None, "x")], "say_one_thing_of_a_link"),
    ],
)
def test_a_wrong_rule_stops_the_build(
    rules: Callable[..., dict[str, str]],
    lines: list[tuple[str | None, ...]],
    finding: str,
) -> None:
    found = rules(*lines)
    assert any(
        name.endswith(finding) and status == "fail" for name, status in found.items()
    ), found


@pytest.mark.parametrize(
    "line",
    [
        ("forbid", "phone", "ph1_nobody", None, None, "no record shows it"),
        ("forbid", "crm_contact", "b:main:1", "phone", "ph1_nobody", "nor this one"),
        ("allow", "crm_contact", "b:main:1", "phone", "ph1_shared", "it is shared"),
    ],
)
def test_a_rule_without_effect_warns(
    rules: Callable[..., dict[str, str]], line: tuple[str | None, ...]
) -> None:
    assert rules(line) == {"identity_rules_take_effect": "warn"}
