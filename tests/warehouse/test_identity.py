"""Identity in a warehouse: what is changed by hand or erased, run by run.

dbt judges what changed, `identify` follows, and each time both leave what a build of
everything leaves.
"""

from __future__ import annotations

import json
import random
import re
import secrets
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from dbt.cli.main import dbtRunner
from typer.testing import CliRunner

from pipeline import identify
from pipeline.__main__ import app
from pipeline.errors import PipelineError
from pipeline.why import why
from tests.pipeline.conftest import connect_as

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Dbt = Callable[..., None]

__all__ = ["connect_as"]
SOURCES = [
    ("visits", "yandex_metrica", ["client_id", "yclid"]),
    ("calls", "calltouch", ["caller_phone", "ym_client_id", "ga_client_id"]),
    ("leads", "bitrix24", ["phones", "emails", "name_token", "ym_client_id"]),
    ("deals", "bitrix24", ["ym_client_id", "contact_id", "lead_id"]),
    ("deal_contacts", "bitrix24", []),
    ("contacts", "bitrix24", ["phones", "emails", "name_token", "lead_id"]),
]
VARS = json.dumps(
    {
        "identity_sources": [
            {"contract": contract, "source": source, "changes": "load", "columns": own}
            for contract, source, own in SOURCES
        ],
        "identifier_max_contacts": 3,
    }
)
MODELS = "path:models/identity,tag:identifiers"
PERSONS = "path:models/identity,tag:persons"
NEVER_READ = """
create table staging.stg_yandex_metrica__visits (
    account_id text, record_key text, load_id bigint, visit_id text, client_id text,
    yclid text, started_at timestamptz, duration_s bigint, visit_date date
);
create table staging.stg_calltouch__calls (
    account_id text, record_key text, load_id bigint, call_id text, session_id text,
    ym_client_id text, ga_client_id text, caller_phone text, phone_number text,
    called_at timestamptz, call_date date
);
create table staging.stg_bitrix24__leads (
    account_id text, record_key text, load_id bigint, lead_id text, contact_id text,
    ym_client_id text, name_token text, phones jsonb, emails jsonb,
    created_at timestamptz
);
create table staging.stg_bitrix24__deals (
    account_id text, record_key text, load_id bigint, deal_id text, lead_id text,
    contact_id text, ym_client_id text, created_at timestamptz
);
create table staging.stg_bitrix24__deal_contacts (
    account_id text, record_key text, load_id bigint, deal_id text, contact_id text
);
create table staging.stg_bitrix24__contacts (
    account_id text, record_key text, load_id bigint, contact_id text, lead_id text,
    name_token text, phones jsonb, emails jsonb, created_at timestamptz
);
create table staging.identity_rules (
    rule text, kind text, identifier text, other_kind text, other_identifier text,
    reason text
);
"""


class Office:
    """Staged rows, and builds that know which of them are new."""

    def __init__(self, transformer: psycopg.Connection[Any], dbt: Dbt) -> None:
        self.connection = transformer
        self.dbt = dbt
        self.loads = 0
        tables = re.findall(r"create table (\S+)", NEVER_READ)
        transformer.execute(f"drop table if exists {', '.join(tables)} cascade")
        transformer.execute(NEVER_READ)

    def card(
        self, number: str, phones: list[str], name: str | None = None, day: int = 1
    ) -> None:
        """A contact's card as the CRM has it now."""
        self._put(
            "contacts",
            number,
            "insert into staging.stg_bitrix24__contacts values "
            "('main', %s, %s, %s, null, %s, to_jsonb(%s::text[]), '[]', "
            f"'2026-01-{day:02} 10:00+00')",
            (number, self.loads + 1, number, name, phones),
        )

    def visit(self, number: str, client_id: str | None, day: int = 2) -> None:
        """A visit of a browser."""
        self._put(
            "visits",
            number,
            "insert into staging.stg_yandex_metrica__visits values "
            f"('main', %s, %s, %s, %s, null, '2026-01-{day:02} 10:00+00', 60, "
            f"'2026-01-{day:02}')",
            (number, self.loads + 1, number, client_id),
            source="yandex_metrica",
        )

    def call(self, number: str, phone: str, client_id: str | None) -> None:
        """A call; nobody knows the browser when none was shown the number."""
        self._put(
            "calls",
            number,
            "insert into staging.stg_calltouch__calls values "
            "('main', %s, %s, %s, null, %s, null, %s, 'line', "
            "'2026-01-04 10:00+00', '2026-01-04')",
            (number, self.loads + 1, number, client_id, phone),
            source="calltouch",
        )

    def lead(
        self,
        number: str,
        phones: list[str],
        client_id: str | None,
        name: str | None = None,
        day: int = 3,
    ) -> None:
        """A request from a form."""
        self._put(
            "leads",
            number,
            "insert into staging.stg_bitrix24__leads values "
            "('main', %s, %s, %s, null, %s, %s, to_jsonb(%s::text[]), '[]', "
            f"'2026-01-{day:02} 10:00+00')",
            (number, self.loads + 1, number, client_id, name, phones),
        )

    def erase(self, table: str, number: str) -> None:
        """The CRM has the record no more."""
        self.connection.execute(
            f"delete from staging.stg_bitrix24__{table} where record_key = %s",
            (number,),
        )

    def rule(self, *cells: str | None) -> None:
        """A line of the seed."""
        self.connection.execute(
            "insert into staging.identity_rules values (%s, %s, %s, %s, %s, %s)", cells
        )

    def _put(
        self,
        table: str,
        number: str,
        insert: str,
        values: tuple[Any, ...],
        source: str = "bitrix24",
    ) -> None:
        self.connection.execute(
            f"delete from staging.stg_{source}__{table} where record_key = %s",
            (number,),
        )
        self.connection.execute(insert, values)

    def build(self, migrator: psycopg.Connection[Any], *, gone: int = 0) -> Any:
        """A load, dbt for it, identify; afterwards all must be as from everything."""
        self.loads += 1
        migrator.execute("delete from ops.build_loads; delete from ops.loads")
        migrator.execute(
            """
            insert into ops.loads (
                load_id, source, stream, account_id, kind, state, started_at, rows_gone
            )
            overriding system value
            values (%s, 'bitrix24', 'all', 'main', 'snapshot', 'ok', now(), %s)
            """,
            (self.loads, gone),
        )
        row = migrator.execute(
            "insert into ops.builds (run_id, as_of) values (%s, now()) "
            "returning build_id",
            (secrets.token_hex(4),),
        ).fetchone()
        assert row is not None
        migrator.execute(
            "insert into ops.build_loads values (%s, %s)", (row[0], self.loads)
        )
        self.dbt(MODELS, build=row[0], full=self.loads == 1)
        return identify.identify()

    def write_persons(self) -> None:
        """The station of persons: what it leaves is what it makes from nothing."""
        self.dbt(PERSONS)
        found = self.rows_of_persons()
        (noted,) = self.connection.execute(
            "select (select count(*) from identity.touched_persons) "
            "+ (select count(*) from identity.touched_shared) "
            "+ (select are_all_touched::int from identity.identify_state)"
        ).fetchone() or (None,)
        assert noted == 0
        self.dbt(PERSONS, full=True)
        assert found == self.rows_of_persons()

    def rows_of_persons(self) -> tuple[list[Any], list[Any]]:
        """Both models of that station."""
        identifiers, persons = (
            self.connection.execute(
                f"select t::text from identity.{name} as t order by 1"
            ).fetchall()
            for name in ("int_person_identifiers", "int_persons")
        )
        return identifiers, persons

    def holders(self, phone: str) -> set[str]:
        """Who has a shared phone: the last parts of the persons' ids."""
        return {
            person.rpartition(":")[2]
            for (person,) in self.connection.execute(
                "select person_id from identity.int_person_identifiers "
                "where kind = 'phone' and identifier = %s and is_shared",
                (phone,),
            )
        }

    def standings(self) -> dict[str, str]:
        """What each phone may prove."""
        return dict(
            self.connection.execute(
                "select identifier, standing from identity.int_identifiers "
                "where kind = 'phone'"
            ).fetchall()
        )

    def state(self) -> tuple[list[Any], ...]:
        """Everything that a build of everything may not change."""
        return tuple(
            self.connection.execute(query).fetchall()
            for query in (
                "select person_id, kind, identifier, first_seen_at, node_id, person_node "
                "from identity.person_identifiers_assigned order by 2, 3",
                "select * from identity.int_identifiers order by node_id",
                "select * from identity.identity_edges "
                "order by left_id, right_id, left_kind, right_kind, evidence",
                "select * from identity.int_identifier_names order by 2, 3",
            )
        )

    def persons(self) -> dict[str, str]:
        """The person of each identifier, by its last part."""
        return {
            f"{kind}:{identifier.rpartition(':')[2]}": person
            for person, kind, identifier in self.connection.execute(
                "select person_id, kind, identifier "
                "from identity.person_identifiers_assigned"
            )
        }


@pytest.fixture(scope="module")
def dbt(warehouse: str, project: Path, tmp_path_factory: pytest.TempPathFactory) -> Dbt:
    """Runs models in this process: dbt starts, and reads the project, once."""
    home = tmp_path_factory.mktemp("dbt")
    quiet = ["--quiet", "--no-use-colors", "--no-version-check"]
    options = [
        "--project-dir", str(project / "dbt_project"),
        "--profiles-dir", str(project / "dbt_project"),
        "--target-path", str(home / "target"),
        "--log-path", str(home / "logs"),
        "--vars", VARS,
    ]  # fmt: skip
    parsed = dbtRunner().invoke([*quiet, "parse", *options])
    assert parsed.success, parsed.exception
    manifest: Any = parsed.result

    def run(select: str, *, build: int | None = None, full: bool = False) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            patch.setenv(
                "PGOPTIONS", f"-c throughline.build_id={build}" if build else ""
            )
            done: Any = dbtRunner(manifest=manifest).invoke(
                [
                    *quiet, "run", *options, "--select", select,
                    *(["--full-refresh"] if full else []),
                ]
            )  # fmt: skip
        assert done.success, done.exception or [each.message for each in done.result]

    return run


@pytest.fixture
def office(connect_as: Callable[[str], psycopg.Connection[Any]], dbt: Dbt) -> Office:
    return Office(connect_as("transformer"), dbt)


@pytest.fixture
def superuser(warehouse: str) -> Iterator[psycopg.Connection[Any]]:
    with psycopg.connect(warehouse, autocommit=True) as connection:
        yield connection


def test_what_is_forbidden_or_erased_parts_as_if_it_had_never_been(
    office: Office, superuser: psycopg.Connection[Any]
) -> None:
    build = lambda **how: office.build(superuser, **how)  # noqa: E731
    office.visit("v1", "browser-1")
    office.visit("v2", None)
    office.visit("v3", "anonymous")
    office.visit("v4", "anonymous")
    office.visit("v5", "9" * 10_000)
    office.visit("v6", "")
    office.visit("v7", "")
    office.visit("v8", "ph1_c")  # a browser that bears the number of a phone
    office.lead("1", ["ph1_a"], "browser-1")
    office.card("10", ["ph1_a", "ph1_b"])
    office.card("11", ["ph1_b"])
    office.card("12", ["ph1_c", "ph1_c"])
    itself = ("phone", "ph1_c")
    office.rule("allow", *itself, *itself, "a slip of the pen")
    assert build().is_full
    first = office.persons()
    one = {"visit:v1", "ym_client_id:browser-1", "crm_lead:1", "crm_contact:10",
           "crm_contact:11", "phone:ph1_a", "phone:ph1_b"}  # fmt: skip
    assert len({first[each] for each in one}) == 1
    assert first["crm_contact:12"] != first["crm_contact:10"]
    # what says nothing joins nobody, and is counted
    assert len({first[f"visit:v{n}"] for n in range(1, 9)}) == 8
    assert first["visit:v8"] == first["ym_client_id:ph1_c"] != first["phone:ph1_c"]
    quarantined = superuser.execute(
        "select left(identifier, 9), quarantine_reason, times_seen "
        "from identity.int_identifiers where standing = 'quarantined' order by 1"
    ).fetchall()
    assert quarantined == [
        ("", "placeholder", 2),
        ("anonymous", "placeholder", 2),
        ("too-long:", "too_long", 1),
    ]
    twice = superuser.execute(
        "select evidence, is_joining, times_seen, why_not_joining "
        "from identity.identity_edges "
        "where right_kind = 'phone' and right_id = 'ph1_c' order by 1"
    ).fetchall()
    assert twice == [
        ("allowed", False, 1, "it is one identifier"),
        ("contact_phone", True, 1, None),
    ]
    office.connection.execute("truncate staging.identity_rules")
    build()

    # nothing new: nothing is judged again
    before = office.state()
    counts = build()
    assert not counts.is_full
    assert counts.rows_written == 0
    assert office.state() == before

    # a link by hand, in a seed, and its undoing
    link = ("crm_contact", "bitrix24:main:12", "crm_contact", "bitrix24:main:11")
    office.rule("allow", *link, "their daughter said so")
    assert not build().is_full
    assert office.persons()["crm_contact:12"] == office.persons()["crm_contact:10"]
    office.connection.execute("truncate staging.identity_rules")
    build()
    assert office.state() == before

    # a forbidden phone parts the two cards; allowed again, they are one
    office.rule("forbid", "phone", "ph1_b", None, None, "the concierge's")
    build()
    parted = office.persons()
    assert parted["crm_contact:10"] != parted["crm_contact:11"]
    assert "phone:ph1_b" not in parted
    office.connection.execute("truncate staging.identity_rules")
    office.rule(
        "forbid", *reversed_link("phone", "ph1_a", "crm_lead", "1"), "a mistake"
    )
    build()
    parted = office.persons()
    assert parted["crm_contact:10"] == parted["crm_contact:11"]
    assert parted["crm_contact:10"] != parted["crm_lead:1"] == parted["visit:v1"]
    office.connection.execute("truncate staging.identity_rules")
    build()
    assert office.state() == before

    # the chain that explains it, and what it says of those who are nobody's
    told = why("crm_contact:bitrix24:main:11", end="visit:yandex_metrica:main:v1")
    assert "6 steps" in told
    assert told.index("ph1_b") < told.index("ph1_a") < told.index("browser-1")
    told = why("phone:ph1_a", end="phone:ph1_c")
    assert "nothing joins them" in told
    told = why("ym_client_id:anonymous")
    assert "is quarantined (placeholder): it joins nobody" in told
    assert "ym_client_id is quarantined" in told.splitlines()[-1]
    assert why(start="phone:ph1_a", person="crm_contact:bitrix24:main:11") == why(
        "phone:ph1_a", end="crm_contact:bitrix24:main:11"
    )
    with pytest.raises(PipelineError, match="kinds are call, click, crm_contact"):
        why("telephone:ph1_a")
    with pytest.raises(PipelineError, match="nobody has, or ever was"):
        why("phone:ph1_nobody")
    done = CliRunner().invoke(app, ["why", "phone:ph1_a"])
    assert done.exit_code == 0
    assert "crm_contact:bitrix24:main:11" in done.output

    # a card that is erased at the CRM takes its links with it
    office.erase("contacts", "10")
    build(gone=1)
    erased = office.persons()
    assert "crm_contact:10" not in erased
    assert erased["crm_contact:11"] != erased["crm_lead:1"]
    events = superuser.execute(
        "select distinct event from identity.person_events"
    ).fetchall()
    assert {event for (event,) in events} >= {"merged", "split"}

    # and all of it equals a build of everything, numbers of identifiers included
    incremental = office.state()
    office.dbt(MODELS, full=True)
    assert identify.identify().is_full
    assert office.state() == incremental


def reversed_link(*link: str) -> tuple[str, str, str, str]:
    """The link as a person may write it: the other way round."""
    kind, identifier, other_kind, other = link
    return other_kind, f"bitrix24:main:{other}", kind, identifier


def test_who_holds_a_shared_phone_follows_every_change(
    office: Office, superuser: psycopg.Connection[Any]
) -> None:
    know_names(superuser)

    def build(**how: int) -> None:
        counts = office.build(superuser, **how)
        assert counts.is_full == (office.loads == 1)
        office.write_persons()

    office.card("1", ["ph1_a"], "nm1_ivan")
    office.card("2", ["ph1_a"], "nm1_ivan")
    office.card("9", ["ph1_z"], "nm1_anna")
    build()
    assert office.holders("ph1_a") == set()
    # another name: the phone is shared, and joins those of one name alone
    office.card("3", ["ph1_a"], "nm1_anna")
    build()
    assert office.holders("ph1_a") == {"1", "3"}
    # a holder's person becomes another's, though nothing was said of the phone
    office.card("8", ["ph1_y"], "nm1_anna")
    office.card("3", ["ph1_a", "ph1_y"], "nm1_anna", day=5)
    build()
    assert office.holders("ph1_a") == {"1", "8"}
    # too many cards: it tells nobody apart, and nobody holds it
    office.card("4", ["ph1_a"], "nm1_ivan")
    build()
    assert office.standings()["ph1_a"] == "quarantined"
    assert office.holders("ph1_a") == set()
    office.erase("contacts", "4")
    build(gone=1)
    assert office.holders("ph1_a") == {"1", "8"}
    # a person's word
    office.rule("forbid", "phone", "ph1_a", None, None, "the porter's")
    build()
    assert office.holders("ph1_a") == set()
    office.connection.execute("truncate staging.identity_rules")
    office.rule("allow", "phone", "ph1_a", None, None, "one family")
    build()
    assert office.holders("ph1_a") == set()
    assert office.persons()["phone:ph1_a"] == office.persons()["crm_contact:8"]
    office.connection.execute("truncate staging.identity_rules")
    # seen first at another time, of the same persons
    office.card("1", ["ph1_a"], "nm1_ivan", day=3)
    office.card("2", ["ph1_a"], "nm1_ivan", day=2)
    build()
    assert office.holders("ph1_a") == {"2", "8"}
    # the last card that showed it goes
    for number in "123":
        office.erase("contacts", number)
    build(gone=3)
    assert office.holders("ph1_a") == set()
    assert "ph1_a" not in office.standings()


def test_persons_are_as_made_at_once_after_any_changes(
    office: Office, superuser: psycopg.Connection[Any]
) -> None:
    dice = random.Random(20)
    know_names(superuser)
    phones = [f"ph1_{letter}" for letter in "abcd"]
    names = ["nm1_ivan", "nm1_anna", None]
    became: set[tuple[str, str]] = set()
    before: dict[str, str] = {}
    events: set[str] = set()
    for number in range(10):
        gone = 0
        for _ in range(dice.choice([3, 9])):
            some = dice.sample(phones, dice.choice([1, 1, 2]))
            name, day = dice.choice(names), dice.randrange(1, 28)
            browser = dice.choice(["b1", "b2", "b3", None])
            one = str(dice.randrange(1, 9))
            match dice.choice(
                ["card", "card", "lead", "visit", "call", "erase", "rule"]
            ):
                case "card":
                    office.card(one, some, name, day)
                case "lead":
                    office.lead(one, some, browser, name, day)
                case "visit":
                    office.visit(one, browser, day)
                case "call":
                    office.call(one, some[0], browser)
                case "erase":
                    office.erase(dice.choice(["contacts", "leads"]), one)
                    gone = 1
                case _:
                    office.connection.execute("truncate staging.identity_rules")
                    rule = dice.choice(["forbid", "allow", None])
                    if rule:
                        office.rule(rule, "phone", some[0], None, None, "who knows")
        counts = office.build(superuser, gone=gone)
        assert counts.is_full == (number == 0)
        events |= counts.events.keys()
        now = office.standings()
        became |= {(before.get(phone, ""), now.get(phone, "")) for phone in phones}
        before = now
        # now and then the station fails: the next one has the work of both
        if dice.random() < 0.8:
            office.write_persons()
    office.write_persons()
    assert became >= {
        ("joining", "shared"), ("shared", "joining"),
        ("shared", "quarantined"), ("quarantined", "shared"),
    }  # fmt: skip
    assert events >= {"born", "merged", "split", "renamed", "gone"}


def know_names(superuser: psycopg.Connection[Any]) -> None:
    """Landing knows two names."""
    superuser.execute(
        "insert into identity.token_facts (token, kind, masked, words) values "
        "('nm1_ivan', 'name', 'И.', 'ivan'), ('nm1_anna', 'name', 'А.', 'anna') "
        "on conflict do nothing"
    )
