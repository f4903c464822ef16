"""Publishing by slices and pointer: what readers may rely on."""

from __future__ import annotations

import threading
import time
from datetime import date
from typing import TYPE_CHECKING

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pipeline import builds, publish
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable

    Connect = Callable[[str], psycopg.Connection]

DAYS = [date(2026, 5, day) for day in range(1, 6)]
MARTS = [
    ("cost", "table", "day", "spend_date"),
    ("result", "table", "month", "result_date"),
    ("channel", "table", "all", None),
    ("performance", "view", None, None),
]
VIEW = """
    create view marts_next.performance as
    select cost.spend_date, channel.name, cost.amount, 'marts_next.' || 'x' as text
    from marts_next.cost inner join marts_next.channel using (channel_id)
"""


@pytest.fixture
def warehouse_with_marts(warehouse: str, connect_as: Connect) -> Connect:
    """Empty store, one loaded load, marts_next with three tables and a view."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute(
            """
            drop view if exists marts.performance, marts.cost, marts.result,
                marts.channel cascade;
            drop table if exists marts_store.cost, marts_store.result,
                marts_store.channel;
            drop view if exists marts_next.performance cascade;
            drop table if exists marts_next.cost, marts_next.result,
                marts_next.channel cascade;
            truncate marts_store.shown, marts_store.slices, marts_store.current_build,
                marts_store.definitions, ops.builds, ops.loads, ops.changes,
                ops.check_results cascade;
            """
        )
    loader = connect_as("loader")
    loader.execute(
        """
        insert into ops.loads
        (source, stream, account_id, run_id, kind, date_from, date_to, state, started_at)
        values ('ads', 'costs', 'main', 'r1', 'window', '2026-05-01', '2026-05-06',
                'ok', now())
        """
    )
    loader.execute(
        """
        insert into ops.load_changes
        select load_id, '2026-05-03', 1, 0, 0, 10 from ops.loads
        """
    )
    dbt = connect_as("transformer")
    dbt.execute(
        """
        create table marts_next.cost (spend_date date, channel_id int, amount numeric);
        create table marts_next.result (result_date date, sales int);
        create table marts_next.channel (channel_id int, name text)
        """
    )
    dbt.execute(VIEW)
    for day in DAYS:
        dbt.execute(
            "insert into marts_next.cost values (%s, 1, 10), (%s, 2, 5)", (day, day)
        )
    dbt.execute(
        "insert into marts_next.result values ('2026-04-30', 1), ('2026-05-02', 2)"
    )
    dbt.execute("insert into marts_next.channel values (1, 'search'), (2, 'network')")
    return connect_as


def make_build(connect_as: Connect, run_id: str, *, status: str = "passed") -> int:
    """A build of what marts_next holds, judged by one check."""
    build = builds.begin_build(run_id)
    dbt = connect_as("transformer")
    dbt.execute("delete from ops.build_marts where build_id = %s", (build.build_id,))
    for position, mart in enumerate(MARTS):
        dbt.execute(
            "insert into ops.build_marts (build_id, position, mart, kind, slice, "
            "slice_column) values (%s, %s, %s, %s, %s, %s)",
            (build.build_id, position, *mart),
        )
    dbt.execute(
        "insert into ops.check_results (run_id, build_id, gate, check_name, severity, "
        "status, why) values (%s, %s, 'marts', 'money', 'critical', %s, 'because')",
        (run_id, build.build_id, status),
    )
    return build.build_id


def shown(connect_as: Connect) -> list[tuple[object, ...]]:
    """Everything the bi role sees."""
    bi = connect_as("bi")
    return [
        row
        for mart in ("cost", "result", "channel", "performance")
        for row in bi.execute(f"select * from marts.{mart} order by 1, 2").fetchall()
    ]


def test_the_first_publish_shows_everything_to_bi(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    done = publish.publish("r1")
    assert done.slices_changed == 5 + 2 + 1
    bi = warehouse_with_marts("bi")
    assert bi.execute("select sum(amount) from marts.cost").fetchone() == (75,)
    assert bi.execute("select sum(sales) from marts.result").fetchone() == (3,)
    # a derived view reads the published marts, and its literals are left alone
    assert bi.execute(
        "select count(*), min(text) from marts.performance"
    ).fetchone() == (10, "marts_next.x")
    owner = warehouse_with_marts("transformer")
    owner.execute("delete from marts_next.cost")
    assert bi.execute("select count(*) from marts.performance").fetchone() == (10,)


def test_publishing_equal_rows_again_changes_no_row(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    before = shown(warehouse_with_marts)
    publisher = warehouse_with_marts("publisher")
    rows = "select count(*), max(xmin::text::bigint) from marts_store.cost"
    stored = publisher.execute(rows).fetchone()
    dbt = warehouse_with_marts("transformer")
    # the same rows in another physical order
    dbt.execute(
        """
        create table marts_next.again as
        select * from marts_next.cost order by amount, spend_date desc;
        truncate marts_next.cost;
        insert into marts_next.cost select * from marts_next.again;
        drop table marts_next.again
        """
    )
    make_build(warehouse_with_marts, "r2")
    done = publish.publish("r2")
    assert (done.slices_changed, done.rows_changed) == (0, 0)
    assert shown(warehouse_with_marts) == before
    assert publisher.execute(rows).fetchone() == stored
    assert publish.publish("r2").slices_changed == 0  # a retried task


def test_only_the_changed_slice_is_copied_and_its_cause_is_noted(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    loader = warehouse_with_marts("loader")
    loader.execute(
        """
        with load as (
            insert into ops.loads
            (source, stream, account_id, run_id, kind, date_from, date_to, state,
             started_at)
            values ('ads', 'costs', 'main', 'r2', 'window', '2026-05-01',
                    '2026-05-06', 'ok', now())
            returning load_id
        )
        insert into ops.load_changes select load_id, '2026-05-03', 0, 1, 0, 1 from load
        """
    )
    dbt = warehouse_with_marts("transformer")
    dbt.execute(
        "update marts_next.cost set amount = 11 "
        "where spend_date = '2026-05-03' and channel_id = 1"
    )
    build = make_build(warehouse_with_marts, "r2")
    done = publish.publish("r2")
    assert (done.slices_changed, done.rows_changed) == (1, 2)
    assert dbt.execute(
        "select mart, slice_key, rows_before, rows_after, cause from ops.changes "
        "where build_id = %s",
        (build,),
    ).fetchall() == [("cost", "2026-05-03", 2, 2, "loads of ads.costs")]
    assert dbt.execute(
        "select count(*) from ops.published_loads where build_id = %s", (build,)
    ).fetchone() == (1,)


def test_a_slice_that_is_gone_is_shown_no_longer(warehouse_with_marts: Connect) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    dbt = warehouse_with_marts("transformer")
    dbt.execute("delete from marts_next.cost where spend_date = '2026-05-01'")
    make_build(warehouse_with_marts, "r2")
    assert publish.publish("r2").slices_changed == 1
    bi = warehouse_with_marts("bi")
    assert bi.execute("select min(spend_date) from marts.cost").fetchone() == (DAYS[1],)


def test_a_mart_that_lost_all_rows_is_not_published(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    before = shown(warehouse_with_marts)
    warehouse_with_marts("transformer").execute("truncate marts_next.cost")
    make_build(warehouse_with_marts, "r2")
    with pytest.raises(PipelineError, match="mart cost has no rows in build"):
        publish.publish("r2")
    assert shown(warehouse_with_marts) == before


def test_the_gate_is_part_of_publishing(warehouse_with_marts: Connect) -> None:
    builds.begin_build("r0")
    with pytest.raises(PipelineError, match="was not judged"):
        publish.publish("r0")
    make_build(warehouse_with_marts, "r1", status="failed")
    with pytest.raises(PipelineError, match="did not pass the gate: money"):
        publish.publish("r1")
    make_build(warehouse_with_marts, "r2")
    dbt = warehouse_with_marts("transformer")
    dbt.execute(
        "insert into ops.model_runs (build_id, run_id, station, unique_id, "
        "resource_type, status) select max(build_id), 'r2', 'build_marts', 'model.t.x', "
        "'model', 'success' from ops.builds"
    )
    with pytest.raises(PipelineError, match="was not judged"):
        publish.publish("r2")  # it was, but then dbt built something else
    # a red gate loses nothing: the loads are still to be shown
    assert dbt.execute("select count(*) from ops.published_loads").fetchone() == (0,)


def test_an_older_build_is_not_published_after_a_newer_one(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    make_build(warehouse_with_marts, "r2")
    publish.publish("r2")
    with pytest.raises(PipelineError, match="start a new run"):
        publish.publish("r1")


def test_rolling_back_shows_what_was_shown_and_publishing_goes_on(
    warehouse_with_marts: Connect,
) -> None:
    first = make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    at_first = shown(warehouse_with_marts)
    dbt = warehouse_with_marts("transformer")
    dbt.execute("update marts_next.cost set amount = amount * 2")
    make_build(warehouse_with_marts, "r2")
    publish.publish("r2")
    at_second = shown(warehouse_with_marts)
    assert at_second != at_first
    assert publish.rollback() == first
    assert shown(warehouse_with_marts) == at_first
    with pytest.raises(PipelineError, match="cannot roll back"):
        publish.rollback()
    # back to the first rows: contents that are kept are shown again, not stored again
    dbt.execute("update marts_next.cost set amount = round(amount / 2)")
    make_build(warehouse_with_marts, "r3")
    done = publish.publish("r3")
    assert (done.slices_changed, done.rows_changed) == (5, 0)
    assert [row[:3] for row in shown(warehouse_with_marts)] == [
        row[:3] for row in at_first
    ]


def test_old_builds_are_forgotten_but_month_ends_are_kept(
    warehouse_with_marts: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "KEPT_BUILDS", 2)
    dbt = warehouse_with_marts("transformer")
    superuser = warehouse_with_marts("postgres")
    numbers = []
    for amount in range(1, 6):
        dbt.execute("update marts_next.cost set amount = %s", (amount,))
        numbers.append(make_build(warehouse_with_marts, f"r{amount}"))
        publish.publish(f"r{amount}")
        if amount == 2:  # the last build of April
            superuser.execute(
                "update ops.builds set as_of = '2026-04-30' where build_id <= %s",
                (numbers[-1],),
            )
    assert superuser.execute(
        "select distinct amount from marts_store.cost order by amount"
    ).fetchall() == [(2,), (4,), (5,)]
    assert publish.rollback(numbers[1]) == numbers[1]
    bi = warehouse_with_marts("bi")
    assert bi.execute("select distinct amount from marts.cost").fetchall() == [(2,)]


def test_columns_are_only_added_in_place(warehouse_with_marts: Connect) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    superuser = warehouse_with_marts("postgres")
    superuser.execute(
        "create or replace view public.report as select * from marts.cost"
    )
    oid = superuser.execute("select 'marts.cost'::regclass::oid").fetchone()
    dbt = warehouse_with_marts("transformer")
    dbt.execute(
        """
        drop view marts_next.performance;
        drop table marts_next.cost;
        create table marts_next.cost (clicks int, amount numeric, spend_date date);
        insert into marts_next.cost values (7, 3, '2026-05-01')
        """
    )
    dbt.execute(
        "create view marts_next.performance as select clicks, amount from marts_next.cost"
    )
    make_build(warehouse_with_marts, "r2")
    publish.publish("r2")
    bi = warehouse_with_marts("bi")
    cursor = bi.execute("select * from marts.cost")
    assert [column.name for column in cursor.description or ()] == [
        "spend_date", "channel_id", "amount", "clicks",
    ]  # fmt: skip
    assert cursor.fetchall() == [(DAYS[0], None, 3, 7)]
    cursor = bi.execute("select * from marts.performance")
    assert [column.name for column in cursor.description or ()] == [
        "spend_date", "name", "amount", "text", "clicks",
    ]  # fmt: skip
    # the same view, so grants and whatever hangs on it are still there
    assert superuser.execute("select 'marts.cost'::regclass::oid").fetchone() == oid
    assert superuser.execute("select count(*) from public.report").fetchone() == (1,)
    superuser.execute("drop view public.report")
    dbt.execute("drop view marts_next.performance")
    dbt.execute("alter table marts_next.cost alter column clicks type text")
    dbt.execute(
        "create view marts_next.performance as select clicks, amount from marts_next.cost"
    )
    make_build(warehouse_with_marts, "r3")
    with pytest.raises(PipelineError, match="column clicks is shown as integer"):
        publish.publish("r3")


def test_a_view_may_read_declared_marts_only(warehouse_with_marts: Connect) -> None:
    dbt = warehouse_with_marts("transformer")
    dbt.execute("create table if not exists attribution.weights (weight int)")
    dbt.execute(
        "create or replace view marts_next.performance as "
        "select spend_date, null::text as name, amount, null::text as text "
        "from marts_next.cost, attribution.weights"
    )
    make_build(warehouse_with_marts, "r1")
    with pytest.raises(PipelineError, match=r"performance reads attribution\.weights"):
        publish.publish("r1")


def test_hostile_readers_see_one_build_and_never_wait(
    warehouse: str, warehouse_with_marts: Connect
) -> None:
    """Six readers without think time while builds are published back to back.

    In build n every cost is n and the result of May is n: any statement, prepared or
    not, and any repeatable-read transaction must see one n in all of them.
    """
    dbt = warehouse_with_marts("transformer")

    def put(number: int) -> None:
        dbt.execute("update marts_next.cost set amount = %s", (number,))
        dbt.execute("update marts_next.result set sales = %s", (number,))
        make_build(warehouse_with_marts, f"h{number}")
        publish.publish(f"h{number}")

    put(1)
    stop = threading.Event()
    faults: list[str] = []
    reads = [0] * 6
    slowest = [0.0] * 6
    orders = [
        ("cost", "amount", "result", "sales"),
        ("result", "sales", "cost", "amount"),
    ]

    def read(number: int) -> None:
        first, first_value, second, second_value = orders[number % 2]
        one = f"select count(*), min({first_value}), max({first_value}) from marts.{first}"
        two = (
            f"select count(*), min({second_value}), max({second_value}) "
            f"from marts.{second}"
        )
        both = f"select * from ({one}) as a cross join ({two}) as b"
        address = make_conninfo(warehouse, user="bi")
        with psycopg.connect(address, autocommit=True) as connection:
            if number >= 4:
                connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            while not stop.is_set():
                start = time.perf_counter()
                try:
                    if number >= 4:
                        with connection.transaction():
                            row = [
                                *(connection.execute(one).fetchone() or ()),
                                *(connection.execute(two).fetchone() or ()),
                            ]
                    else:
                        cursor = connection.execute(both, prepare=number >= 2)
                        row = list(cursor.fetchone() or ())
                except psycopg.Error as error:
                    faults.append(f"error {error}")
                    return
                slowest[number] = max(slowest[number], time.perf_counter() - start)
                values = {float(value) for value in (*row[1:3], *row[4:])}
                if {row[0], row[3]} != {10, 2} or len(values) != 1:
                    faults.append(f"reader {number} saw {row}")
                reads[number] += 1

    threads = [threading.Thread(target=read, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    try:
        for number in range(2, 22):
            put(number)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    print(f"20 publishes, {sum(reads)} reads, slowest read {max(slowest):.3f} s")
    assert faults == []
    assert min(reads) > 20
    # far below the seconds that a lock queue behind a report would cost
    assert max(slowest) < 2


def test_publishing_does_not_wait_for_a_long_report(
    warehouse_with_marts: Connect,
) -> None:
    make_build(warehouse_with_marts, "r1")
    publish.publish("r1")
    report = warehouse_with_marts("bi")
    with report.transaction():
        before = report.execute("select sum(amount) from marts.performance").fetchone()
        dbt = warehouse_with_marts("transformer")
        dbt.execute("update marts_next.cost set amount = amount + 1")
        make_build(warehouse_with_marts, "r2")
        start = time.perf_counter()
        publish.publish("r2")
        assert time.perf_counter() - start < 5
        other = warehouse_with_marts("bi")
        assert other.execute(
            "select sum(amount) from marts.performance"
        ).fetchone() == ((before or (0,))[0] + 10,)
