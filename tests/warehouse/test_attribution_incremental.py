"""Credits made change by change equal credits made at once, and cost what changed.

What stands upstream of the credits is made up here, by its own contracts, and changed
in every way that a day can bring; dbt and the fit run as the line runs them, build by
build, and after each build everything is made again from nothing and compared.
"""

from __future__ import annotations

import json
import os
import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
import yaml
from dbt.cli.main import dbtRunner
from psycopg import sql

from pipeline.attribution import estimate, fit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MOSCOW = ZoneInfo("Europe/Moscow")
FLAGS = ("is_valid", "is_spam", "is_duplicate", "is_new_customer", "is_full_refund")
BEGIN = datetime(2026, 3, 1, tzinfo=UTC)
CHANNELS = ("seo", "direct", "yandex_direct_search", "social")
PATHS = (
    "int_touchpoints",
    "int_touchpoint_persons",
    "int_conversions",
    "int_persons_to_credit",
    "int_touchpoints_before_conversion",
    "int_channel_transitions",
)
CREDITS = (
    "int_fitted_weights",
    "int_attribution_credits",
    "int_unattributed_conversions",
)
# what is compared
WRITTEN = (
    "int_touchpoints_before_conversion",
    "int_attribution_credits",
    "int_unattributed_conversions",
)
# what stands upstream: its schema, and the model whose contract has its columns
STUBS = {
    "int_touches_resolved": ("touchpoints", "touchpoints/int_touchpoints"),
    "int_leads": ("touchpoints", "touchpoints/int_leads"),
    "int_conversions_unioned": ("attribution", "attribution/paths/int_conversions"),
    "int_person_identifiers": ("identity", "identity/int_person_identifiers"),
}
# models without a contract, and a seed
OTHERS = """
alter table touchpoints.int_touches_resolved
    drop column contact_kind, drop column contacts_count;
alter table attribution.int_conversions_unioned drop column previous_at;
create table touchpoints.int_calls_placed (
    touchpoint_id text, called_at timestamptz, caller_phone text
);
create table touchpoints.int_leads_placed (
    touchpoint_id text, call_id text, contact_channel text, created_at timestamptz
);
create table identity.identity_edges (
    left_kind text, left_id text, right_kind text, right_id text, why_not_joining text
);
create table staging.source_ranks (
    source text, medium text, source_rank integer, valid_from date, valid_to date
);
"""


@dataclass(frozen=True)
class Touch:
    """A touch; `sharers` are people who may have used the phone of it."""

    person: str | None
    at: datetime
    channel: str
    source: str | None = None
    sharers: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Conversion:
    """A conversion of a kind; moments of its lead and deal may be unknown."""

    kind: str
    person: str | None
    at: datetime
    lead_at: datetime | None = None
    deal_at: datetime | None = None
    came_with: str | None = None


@dataclass
class Company:
    """What stands upstream, changed in place."""

    dice: random.Random
    touches: dict[str, Touch] = field(default_factory=dict)
    conversions: dict[str, Conversion] = field(default_factory=dict)
    ranks: dict[tuple[str, str], int] = field(default_factory=dict)
    phones: set[str] = field(default_factory=set)
    made: int = 0

    def name(self, kind: str) -> str:
        self.made += 1
        return f"{kind}{self.made}"

    def moment(self) -> datetime:
        # half-days, so that touches and conversions of one second are common
        return BEGIN + timedelta(days=self.dice.randrange(240) / 2)

    def touch(self, person: str | None) -> str:
        name = self.name(self.dice.choice("tT"))
        self.touches[name] = Touch(
            person,
            self.moment(),
            self.dice.choice(CHANNELS),
            self.dice.choice([None, "yandex", "vk", "Yandex"]),
        )
        return name

    def convert(self, person: str | None) -> str:
        name = self.name("c")
        at = self.moment()
        self.conversions[name] = Conversion(
            self.dice.choice(["lead", "deal", "sale"]),
            person,
            at,
            self.dice.choice([None, at - timedelta(days=5)]),
            self.dice.choice([None, at - timedelta(days=2)]),
            self.dice.choice([None, *self.touches]),
        )
        return name


def company(seed: int) -> Company:
    made = Company(random.Random(seed))
    made.ranks = {("yandex", "cpc"): 9, ("vk", "cpc"): 5}
    for number in range(25):
        person = f"p{number}"
        for _ in range(made.dice.randrange(6)):
            made.touch(person)
        for _ in range(made.dice.randrange(4)):
            made.convert(person)
    for _ in range(3):
        made.convert(None)
    return made


class Line:
    """The attribution stations over made-up tables, build by build."""

    def __init__(self, warehouse: str, project: Path, home: Path) -> None:
        self.project, self.home = project, home
        self.connection = psycopg.connect(warehouse, autocommit=True)
        self.variables: dict[str, Any] = {}
        self.manifest: Any = None
        self.builds = 0
        self.as_of = date(2026, 9, 1)  # every month is closed
        self._make_stubs()

    def _make_stubs(self) -> None:
        for name, (schema, model) in STUBS.items():
            file = self.project / f"dbt_project/models/{model}.yml"
            columns = yaml.safe_load(file.read_text())["models"][0]["columns"]
            self.connection.execute(
                sql.SQL("create table {} ({})").format(
                    sql.Identifier(schema, name),
                    sql.SQL(", ").join(
                        sql.SQL("{} {}").format(
                            sql.Identifier(each["name"]), sql.SQL(each["data_type"])
                        )
                        for each in columns
                    ),
                )
            )
        self.connection.execute(OTHERS)
        for schema in ("touchpoints", "attribution", "identity", "staging"):
            self.connection.execute(
                sql.SQL("grant all on all tables in schema {} to transformer").format(
                    sql.Identifier(schema)
                )
            )

    def fill(self, made: Company) -> None:
        """Put the company as it is now into the tables."""
        rows: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for name, touch in made.touches.items():
            rows["touchpoints.int_touches_resolved"].append(
                {
                    "touchpoint_id": name,
                    "person_id": touch.person,
                    "touched_at": touch.at,
                    "touch_date": touch.at.astimezone(MOSCOW).date(),
                    "touch_kind": "visit",
                    "channel": touch.channel,
                    "source": touch.source,
                    "medium": touch.source and "cpc",
                    "is_direct": touch.channel == "direct",
                    "is_paid": touch.channel == "yandex_direct_search",
                }
            )
            if touch.sharers:
                rows["touchpoints.int_calls_placed"].append(
                    {
                        "touchpoint_id": name,
                        "called_at": touch.at,
                        "caller_phone": f"ph1_of_{name}",
                    }
                )
            rows["identity.int_person_identifiers"] += [
                {
                    "person_id": person,
                    "kind": "phone",
                    "identifier": f"ph1_of_{name}",
                    "is_shared": True,
                }
                for person in sorted(touch.sharers)
            ]
        for name, each in made.conversions.items():
            day = each.at.astimezone(MOSCOW).date()
            rows["attribution.int_conversions_unioned"].append(
                {
                    "conversion_id": name,
                    "conversion_kind": each.kind,
                    "credited_as": each.kind,
                    "account_id": "crm",
                    "person_id": each.person,
                    "deal_id": name,
                    "converting_touchpoint_id": each.came_with,
                    "lead_created_at": each.lead_at,
                    "deal_created_at": each.deal_at,
                    "attributed_at": each.at,
                    "attributed_date": day,
                    "converted_at": each.at,
                    "converted_date": day,
                    "lead_date": day,
                    **dict.fromkeys(FLAGS, False),
                    "revenue_amount": 100,
                }
            )
        rows["staging.source_ranks"] = [
            {
                "source": source,
                "medium": medium,
                "source_rank": rank,
                "valid_from": date(2000, 1, 1),
                "valid_to": date(2999, 12, 31),
            }
            for (source, medium), rank in made.ranks.items()
        ]
        rows["identity.int_person_identifiers"] += [
            {"person_id": person, "kind": "phone", "identifier": f"ph1_{person}"}
            for person in sorted(made.phones)
        ]
        tables = {
            "touchpoints.int_touches_resolved",
            "touchpoints.int_calls_placed",
            "attribution.int_conversions_unioned",
            "staging.source_ranks",
            "identity.int_person_identifiers",
        }
        with self.connection.transaction():
            for table in tables:
                relation = sql.Identifier(*table.split("."))
                self.connection.execute(sql.SQL("truncate {}").format(relation))
                # the order in which rows lie must not matter
                listed = rows[table]
                random.Random(self.builds).shuffle(listed)
                for row in listed:
                    self.connection.execute(
                        sql.SQL("insert into {} ({}) values ({})").format(
                            relation,
                            sql.SQL(", ").join(map(sql.Identifier, row)),
                            sql.SQL(", ").join(sql.Placeholder() * len(row)),
                        ),
                        list(row.values()),
                    )

    def dbt(self, *models: str, build: int | None, full_refresh: bool = False) -> Any:
        """Run models for a build; the rows that each wrote."""
        if self.manifest is None:
            self.manifest = self._parsed()
        runner = dbtRunner(manifest=self.manifest)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DBT_SEND_ANONYMOUS_USAGE_STATS", "false")
            patch.setenv(
                "PGOPTIONS", f"-c throughline.build_id={build}" if build else ""
            )
            done = runner.invoke(
                [
                    *self._options("run"),
                    "--select", *models,
                    "--vars", json.dumps(self.variables),
                    *(["--full-refresh"] if full_refresh else []),
                ]
            )  # fmt: skip
        assert done.success, done.exception or [each.message for each in done.result]
        return {
            each.node.name: each.adapter_response.get("rows_affected")
            for each in done.result
        }

    def _options(self, command: str) -> list[str]:
        return [
            "--quiet", "--no-use-colors", "--no-version-check", command,
            "--project-dir", str(self.project / "dbt_project"),
            "--profiles-dir", str(self.project / "dbt_project"),
            "--target-path", str(self.home / "target"),
            "--log-path", str(self.home / "logs"),
        ]  # fmt: skip

    def _parsed(self) -> Any:
        done = dbtRunner().invoke(self._options("parse"))
        assert done.success, done.exception
        return done.result

    def begin(self) -> int:
        """An open build of a run of its own."""
        self.builds += 1
        run = f"run{self.builds}"
        self.connection.execute("insert into ops.runs (run_id) values (%s)", (run,))
        row = self.connection.execute(
            "insert into ops.builds (run_id, as_of) values (%s, %s) returning build_id",
            (run, self.as_of),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def run(self, *, publish: bool = True, restate: tuple[date, ...] = ()) -> Any:
        """All steps of one build; the rows that each model wrote."""
        build = self.begin()
        wrote = self.dbt(*PATHS, build=build)
        fit.fit_models(f"run{self.builds}", restate)
        wrote |= self.dbt(*CREDITS, build=build)
        if publish:
            self.connection.execute(
                "update ops.builds set state = 'published' where build_id = %s",
                (build,),
            )
        return wrote

    def content(self) -> dict[str, list[tuple[Any, ...]]]:
        """What is compared of each table, in an order of its own."""
        return {
            name: sorted(
                self.connection.execute(
                    f"select t::text from attribution.{name} as t"
                ).fetchall()
            )
            for name in WRITTEN
        }

    def places(self) -> dict[str, frozenset[str]]:
        """Where each person's rows of paths and credits lie: a rewritten row moves."""
        found: dict[str, set[str]] = defaultdict(set)
        for name in ("int_touchpoints_before_conversion", "int_attribution_credits"):
            for person, place in self.connection.execute(
                f"select path_person_id, xmin::text || ctid::text from attribution.{name}"
            ).fetchall():
                found[person].add(f"{name} {place}")
        return {person: frozenset(each) for person, each in found.items()}

    def made_at_once(self) -> dict[str, list[tuple[Any, ...]]]:
        """The same from nothing; the tables are then as they were before."""
        kept = [name for name in WRITTEN if name != "int_unattributed_conversions"]
        for name in kept:
            self.connection.execute(
                f"create table public.{name} as table attribution.{name}"
            )
        self.dbt(*PATHS, *CREDITS, build=self.begin(), full_refresh=True)
        found = self.content()
        for name in kept:
            self.connection.execute(
                f"truncate attribution.{name}; insert into attribution.{name} "
                f"table public.{name}; drop table public.{name}"
            )
        return found

    def conserved(self) -> None:
        """Every conversion is credited once by every model, and nothing is negative."""
        models = [
            name
            for (name,) in self.connection.execute(
                "select attname from pg_attribute where attrelid = "
                "'attribution.int_attribution_credits'::regclass and attnum > 0 "
                "and atttypid = 'numeric'::regtype"
            ).fetchall()
        ]
        assert len(models) == 11
        (broken,) = self.connection.execute(
            f"""
            select count(*) from (
                select conversion_id
                from attribution.int_conversions
                left join attribution.int_attribution_credits using (conversion_id)
                group by conversion_id
                having not ({" and ".join(f"sum({m}) = 1" for m in models)})
                    or not ({" and ".join(f"min({m}) >= 0" for m in models)})
                    or count(touchpoint_id) = 0
            ) as broken
            """
        ).fetchone() or (None,)
        assert broken == 0


@pytest.fixture(scope="module")
def line(
    warehouse: str, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Line]:
    made = Line(warehouse, project, tmp_path_factory.mktemp("attribution"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "THROUGHLINE_HOME", str(project))
        yield made
    made.connection.close()


def persons(made: Company) -> list[str]:
    return sorted({each.person for each in made.conversions.values() if each.person})


def move_a_touch(made: Company) -> set[str]:
    name = made.dice.choice(sorted(made.touches))
    touch = made.touches[name]
    made.touches[name] = replace(touch, at=touch.at - timedelta(hours=1))
    return {touch.person or "", *touch.sharers}


def add_a_touch(made: Company) -> set[str]:
    person = made.dice.choice(persons(made))
    made.touch(person)
    return {person}


def lose_a_touch(made: Company) -> set[str]:
    touch = made.touches.pop(made.dice.choice(sorted(made.touches)))
    return {touch.person or "", *touch.sharers}


def another_channel(made: Company) -> set[str]:
    name = made.dice.choice(sorted(made.touches))
    touch = made.touches[name]
    made.touches[name] = replace(touch, channel="maps", source="vk")
    return {touch.person or "", *touch.sharers}


def add_a_conversion(made: Company) -> set[str]:
    person = made.dice.choice([*persons(made), "somebody new"])
    made.convert(person)
    return {person}


def add_a_conversion_of_nobody(made: Company) -> set[str]:
    return {made.convert(None)}


def lose_a_conversion(made: Company) -> set[str]:
    name = made.dice.choice(sorted(made.conversions))
    return {made.conversions.pop(name).person or name}


def two_in_one_second(made: Company) -> set[str]:
    name = made.dice.choice(sorted(made.conversions))
    other = made.conversions[name]
    twin = made.name("c")
    made.conversions[twin] = other
    return {other.person or twin}


def merge_two_persons(made: Company) -> set[str]:
    gone, kept = made.dice.sample(persons(made), 2)
    for name, touch in made.touches.items():
        if touch.person == gone:
            made.touches[name] = replace(touch, person=kept)
    for name, each in made.conversions.items():
        if each.person == gone:
            made.conversions[name] = replace(each, person=kept)
    return {gone, kept}


def split_a_person(made: Company) -> set[str]:
    person = made.dice.choice(persons(made))
    other = made.name("p_split")
    for name, touch in made.touches.items():
        if touch.person == person and made.dice.random() < 0.5:
            made.touches[name] = replace(touch, person=other)
    for name, each in made.conversions.items():
        if each.person == person and made.dice.random() < 0.5:
            made.conversions[name] = replace(each, person=other)
    return {person, other}


def forget_a_person(made: Company) -> set[str]:
    """The conversions stay, nobody's; the touches stay too."""
    person = made.dice.choice(persons(made))
    changed = {person}
    for name, each in made.conversions.items():
        if each.person == person:
            made.conversions[name] = replace(each, person=None)
            changed.add(name)
    return changed


def share_a_phone(made: Company) -> set[str]:
    name = made.dice.choice(sorted(made.touches))
    sharers = frozenset(made.dice.sample(persons(made), 3))
    touch = made.touches[name]
    made.touches[name] = replace(touch, sharers=sharers)
    return {*touch.sharers, *sharers}


def stop_sharing(made: Company) -> set[str]:
    changed: set[str] = set()
    for name, touch in made.touches.items():
        changed |= touch.sharers
        made.touches[name] = replace(touch, sharers=frozenset())
    return changed


def a_phone_becomes_known(made: Company) -> set[str]:
    """It changes no path, but it may be why there is none."""
    made.phones ^= set(made.dice.sample(persons(made), 5))
    return set()


CHANGES: tuple[Callable[[Company], set[str]], ...] = (
    move_a_touch, add_a_touch, lose_a_touch, another_channel, add_a_conversion,
    add_a_conversion_of_nobody, lose_a_conversion, two_in_one_second, merge_two_persons,
    split_a_person, forget_a_person, share_a_phone, stop_sharing, a_phone_becomes_known,
)  # fmt: skip


def test_change_by_change_equals_all_at_once(line: Line) -> None:
    made = company(seed=5)
    share_a_phone(made)
    share_a_phone(made)
    line.fill(made)
    wrote = line.run()
    assert wrote["int_attribution_credits"] > 40
    assert line.content() == line.made_at_once()
    line.conserved()

    # nothing new: nothing is written
    line.fill(made)
    wrote = line.run()
    assert wrote["int_persons_to_credit"] == 0
    assert wrote["int_touchpoints_before_conversion"] == 0
    assert wrote["int_attribution_credits"] == 0

    # each kind of change, some at a time
    unmoved = 0
    for first in range(0, len(CHANGES), 3):
        before, weights = line.places(), _weights_in_force(line)
        changed = set().union(*(each(made) for each in CHANGES[first : first + 3]))
        line.fill(made)
        line.run()
        after = line.places()
        # a month that was fitted anew is credited anew
        if _weights_in_force(line) == weights:
            for person in before.keys() - changed:
                assert after[person] == before[person], (CHANGES[first], person)
                unmoved += 1
        assert line.content() == line.made_at_once(), CHANGES[first]
        line.conserved()
    assert unmoved > 20

    # builds that a gate held back, in an open month, and one that passed
    line.as_of = date(2026, 6, 20)
    for publish in (False, False, True):
        for change in made.dice.choices(CHANGES, k=8):
            change(made)
        line.fill(made)
        line.run(publish=publish)
        assert line.content() == line.made_at_once()
        line.conserved()
    line.as_of = date(2026, 9, 1)


def _weights_in_force(line: Line) -> list[tuple[Any, ...]]:
    return line.connection.execute(
        "select version_id from attribution.fitted_versions where is_current order by 1"
    ).fetchall()


def test_a_changed_choice_reaches_everybody(line: Line) -> None:
    made = company(seed=6)
    line.fill(made)
    line.run()
    made.ranks["yandex", "cpc"] = 1
    line.fill(made)
    line.run()
    assert line.content() == line.made_at_once()
    project = yaml.safe_load(
        (line.project / "dbt_project" / "dbt_project.yml").read_text()
    )["vars"]
    attribution = project["attribution"]
    for variables in (
        {
            "attribution": attribution
            | {"sale": {"cycle": "since_previous", "converting_touch_counts": False}}
        },
        {"markov_fitted_kind": project["markov_fitted_kind"] | {"deal": "lead"}},
        {},
    ):
        before = line.content()
        line.variables = variables
        line.run()
        assert line.content() == line.made_at_once(), variables
        assert line.content() != before, variables
        line.conserved()


def test_a_restated_month_is_credited_anew_and_no_other(line: Line) -> None:
    made = company(seed=7)
    line.fill(made)
    line.run()
    for name in sorted(made.touches)[::2]:  # so that the closed months' inputs differ
        made.touches[name] = replace(made.touches[name], channel="maps")
    line.fill(made)
    line.run()
    before = line.places()
    month = date(2026, 4, 1)
    line.run(restate=(month,))
    moved = {p for p, places in line.places().items() if places != before.get(p)}
    assert line.content() == line.made_at_once()
    line.conserved()
    of_month = {
        person
        for (person,) in line.connection.execute(
            "select path_person_id from attribution.int_touchpoints_before_conversion "
            "where date_trunc('month', attributed_date) = %s",
            (month,),
        ).fetchall()
    }
    assert moved
    assert moved <= of_month


def test_credits_made_by_hand_are_made_once_more_by_the_next_build(line: Line) -> None:
    made = company(seed=8)
    line.fill(made)
    line.dbt(*PATHS, *CREDITS, build=None, full_refresh=True)
    wrote = line.run()
    assert wrote["int_attribution_credits"] > 40
    assert line.content() == line.made_at_once()
    assert line.run()["int_attribution_credits"] == 0


def test_whatever_comes_in_has_a_defined_result(line: Line) -> None:
    """The input that nobody expects: each with what it must come to."""
    made = company(seed=9)
    made.ranks = {("yandex", "cpc"): 9, ("vk", "cpc"): -5}
    at = BEGIN + timedelta(days=100)

    def convert(name: str, **given: Any) -> None:
        made.conversions[name] = Conversion("sale", name, at, **given)

    def touch(name: str, person: str, moment: datetime, **given: Any) -> None:
        made.touches[name] = Touch(person, moment, given.pop("channel", "seo"), **given)

    convert("before")  # a conversion before its touches
    touch("b1", "before", at + timedelta(seconds=1))
    convert("future")  # the tracker's clock runs decades ahead
    touch("f1", "future", at - timedelta(days=1))
    touch("f2", "future", datetime(2099, 1, 1, tzinfo=UTC))
    convert("long")
    for number in range(5_000):
        touch(f"l{number}", "long", at - timedelta(minutes=number))
    convert("silent")  # no touch at all
    convert("same")
    made.conversions["same2"] = made.conversions["same"]  # two in one second
    touch("s1", "same", at)  # and a touch in that second, too
    convert("edge")  # the old end of the window is open
    touch("e1", "edge", at - timedelta(days=90))
    convert("ranked")  # a negative rank is below an unknown source's 0
    touch("r1", "ranked", at - timedelta(days=2), source="vk")
    touch("r2", "ranked", at - timedelta(days=1), source="nobody")
    line.variables = {}
    line.fill(made)
    line.run()
    line.conserved()
    assert line.content() == line.made_at_once()

    def credits(conversion: str, model: str) -> dict[str, float]:
        return dict(
            line.connection.execute(
                f"select touchpoint_id, {model}::float8 "
                f"from attribution.int_attribution_credits where conversion_id = %s "
                f"and {model} > 0",
                (conversion,),
            ).fetchall()
        )

    def reason(conversion: str) -> str | None:
        row = line.connection.execute(
            "select attribution_reason from attribution.int_unattributed_conversions "
            "where conversion_id = %s",
            (conversion,),
        ).fetchone()
        return row and row[0]

    assert credits("before", "linear") == {"(not attributed)": 1}
    assert reason("before") == "touches only after the conversion"
    assert credits("future", "linear") == {"f1": 1}
    assert reason("silent") == "no identifier"
    assert reason("edge") == "no touch in window"
    assert reason("future") is None
    assert credits("same", "linear") == credits("same2", "linear") == {"s1": 1}
    assert credits("ranked", "source_rank") == {"r2": 1}
    linear = credits("long", "linear")
    assert len(linear) == 5_000
    assert set(linear.values()) == {0.0002}
    assert credits("long", "first_touch") == {"l4999": 1}
    position = credits("long", "position_based")
    assert position["l0"] == position["l4999"] == 0.4
    assert sum(position.values()) == pytest.approx(1, abs=1e-9)


def test_the_intervals_stand_around_the_credits_themselves(line: Line) -> None:
    line.fill(company(seed=10))
    line.run()
    done = estimate.estimate_intervals("run")
    found = line.connection.execute(
        "select conversion_month, channel, attribution_model, figure, value "
        "from attribution.channel_intervals"
    ).fetchall()
    expected = [
        (month, channel, model, figure, float(value))
        for model in ("first_touch", "time_decay")
        for figure, measure in (("sales", "1"), ("revenue", "revenue_amount"))
        for month, channel, value in line.connection.execute(
            f"""
            select date_trunc('month', converted_date)::date,
                coalesce(channel, '(not attributed)'), sum({model} * {measure})
            from attribution.int_attribution_credits
            join attribution.int_conversions using (conversion_id)
            left join touchpoints.int_touchpoints using (touchpoint_id)
            where credited_as = 'sale'
            group by 1, 2
            """
        ).fetchall()
    ]
    assert len(expected) > 40
    places = {row[:4]: row[4] for row in found}
    assert {row[:4]: places[row[:4]] for row in expected} == pytest.approx(
        {row[:4]: row[4] for row in expected}
    )
    assert done["cells"] == len({row[:2] for row in found})
    assert {row[:2] for row in expected} == {row[:2] for row in found}
    (outside,) = line.connection.execute(
        "select count(*) from attribution.channel_intervals where not low <= high"
    ).fetchone() or (None,)
    assert outside == 0
