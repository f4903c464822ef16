"""Laws of landing, for any vendor and any order of reading."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from itertools import count
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.base.batch import JsonBatch
from tests.connectors.landing.stand import (
    STATS,
    VISITS,
    Stand,
    may,
    row,
    tsv,
)

if TYPE_CHECKING:
    import psycopg

    from connectors.base.batch import Batch, Record
    from connectors.base.stream import Stream

_accounts = count(1)
law = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# what a vendor holds: key -> (day, cost); days 1 to 6
WORLD = st.dictionaries(
    st.integers(1, 12),
    st.tuples(st.integers(1, 6), st.sampled_from(["1.00", "0.10", "7", "--"])),
    max_size=12,
)
WINDOW = st.tuples(st.integers(1, 6), st.integers(1, 6)).map(
    lambda days: (min(days), max(days) + 1)
)
SHAPE = st.sampled_from(["tsv", "json", "pages"])


def rows_of(
    world: dict[int, tuple[int, str]], first: int = 1, end: int = 7
) -> list[Record]:
    return [
        row(day, key, cost, f'имя "{key}"', Phone=f"8900123{key:04}")
        for key, (day, cost) in world.items()
        if first <= day < end
    ]


def batches_of(rows: list[Record], shape: str) -> list[Batch]:
    if shape == "tsv":
        return [tsv(rows)]
    if shape == "json":
        return [JsonBatch(rows)]
    return [JsonBatch(rows[:2]), tsv(rows[2:5]), JsonBatch(rows[5:])]


def read(
    stand: Stand, stream: Stream, world: Any, window: Any, shape: str = "tsv"
) -> Any:
    """Land what the vendor holds in a window; its total is right, so all is believed."""
    rows = rows_of(world, *window)
    total = sum((Decimal(each["Cost"].replace("--", "0")) for each in rows), Decimal(0))
    return stand.stream(
        stream, batches_of(rows, shape), window=may(*window), control_total=total
    )


def fresh(connection: psycopg.Connection[Any]) -> Stand:
    return Stand(connection, f"law_{next(_accounts)}")


def contents(stand: Stand, stream: Stream) -> dict[str, tuple[date, Record]]:
    found = stand.ask(
        f"select record_key, record_date, record from raw.shop__{stream.name} "
        "where account_id = %s and deleted_load_id is null",
        stand.account.account,
    )
    return {key: (day, record) for key, day, record in found}


def by_day(world: dict[int, tuple[int, str]]) -> dict[date, tuple[int, Decimal]]:
    days: dict[date, tuple[int, Decimal]] = {}
    for day, cost in world.values():
        rows, total = days.get(date(2026, 5, day), (0, Decimal(0)))
        amount = Decimal(cost.replace("--", "0"))
        days[date(2026, 5, day)] = (rows + 1, total + amount)
    return days


@law
@given(
    worlds=st.lists(st.tuples(WORLD, WINDOW, SHAPE), min_size=1, max_size=5),
    stream=st.sampled_from([STATS, VISITS]),
)
def test_after_the_last_read_raw_is_what_the_vendor_holds(
    connection: psycopg.Connection[Any], worlds: Any, stream: Stream
) -> None:
    """Restatements, deletions, returns and moves arrive, in whatever windows."""
    stand = fresh(connection)
    for world, window, shape in worlds:
        before = contents(stand, stream) if stand.ledger() else {}
        read(stand, stream, world, window, shape)
        after = contents(stand, stream)
        inside = {
            key: day
            for key, (day, _) in after.items()
            if window[0] <= day.day < window[1]
        }
        assert len(inside) == len(rows_of(world, *window))
        # a row outside stays, unless it moved into the window
        moved = {each["Id"] for each in rows_of(world, *window)}
        for key, kept in before.items():
            if not window[0] <= kept[0].day < window[1] and key not in moved:
                assert after.get(key) == kept
    read(stand, stream, world, (1, 7))
    assert stand.by_day(stream) == by_day(world)
    assert stand.by_day_of_changes(stream) == by_day(world)
    kept = {
        record["Id"]: record["Cost"] for _, record in contents(stand, stream).values()
    }
    assert kept == {str(key): cost for key, (_, cost) in world.items()}


@law
@given(world=WORLD, again=SHAPE, first=SHAPE, window=WINDOW)
def test_twice_is_once(
    connection: psycopg.Connection[Any], world: Any, again: str, first: str, window: Any
) -> None:
    stand = fresh(connection)
    read(stand, STATS, world, window, first)
    query = (
        "select record_key, xmin::text, load_id, deleted_load_id "
        "from raw.shop__stats where account_id = %s order by 1"
    )
    before = stand.ask(query, stand.account.account)
    result = read(stand, STATS, world, window, again)
    assert (result.rows_new, result.rows_changed, result.rows_gone) == (0, 0, 0)
    assert result.amount_delta == 0
    assert stand.ask(query, stand.account.account) == before


@law
@given(world=WORLD, later=WORLD, cut=st.integers(2, 6), backwards=st.booleans())
def test_a_window_is_the_sum_of_its_parts(
    connection: psycopg.Connection[Any],
    world: Any,
    later: Any,
    cut: int,
    backwards: bool,
) -> None:
    """[a, c) = [a, b) + [b, c), over nothing and over an older state, in any order."""
    whole, parts = fresh(connection), fresh(connection)
    order = [(cut, 7), (1, cut)] if backwards else [(1, cut), (cut, 7)]
    for state in (world, later):
        read(whole, STATS, state, (1, 7))
        for window in order:
            read(parts, STATS, state, window)
    assert contents(whole, STATS) == contents(parts, STATS)
    assert whole.by_day_of_changes(STATS) == parts.by_day_of_changes(STATS)


@law
@given(
    world=WORLD,
    repeated=st.lists(st.integers(0, 11), max_size=6),
    broken=st.integers(0, 3),
    shape=SHAPE,
)
def test_rows_in_are_landed_dead_or_duplicate(
    connection: psycopg.Connection[Any],
    world: Any,
    repeated: list[int],
    broken: int,
    shape: str,
) -> None:
    stand = fresh(connection)
    good = rows_of(world)
    twice = [good[n] for n in repeated if n < len(good)]
    broken = min(broken, len(good) + len(twice))
    bad = [row(1, f"x{n}", "much") for n in range(broken)]
    for _ in range(2):
        result = stand.stream(STATS, batches_of([*good, *twice, *bad], shape))
        assert result.rows_read == len(good) + len(twice) + broken
        assert (result.rows_dead, result.rows_duplicate) == (broken, len(twice))
        assert len(stand.rows(STATS)) == len(good)
    assert stand.by_day(STATS) == by_day(world)
    reasons = stand.ask(
        "select reason from ops.dead_letters where account_id = %s",
        stand.account.account,
    )
    assert reasons == [("field Cost is not a number",)] * 2 * broken
