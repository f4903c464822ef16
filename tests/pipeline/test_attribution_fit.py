"""Versions of fitted months: open ones follow their inputs, closed ones stay."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pipeline.attribution import fit, markov
from pipeline.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import psycopg

MAY, JUNE, JULY = date(2026, 5, 1), date(2026, 6, 1), date(2026, 7, 1)
Steps = list[tuple[str, date, str, str, int]]


def steps_of(month: date, seo: int, ads: int, kind: str = "sale") -> Steps:
    """So many sales by search and so many by ads, and as many that came to nothing."""
    return [
        (kind, month, *step)
        for channel, sales in (("seo", seo), ("ads", ads))
        for step in (
            (markov.START, channel, 2 * sales),
            (channel, markov.CONVERSION, sales),
            (channel, markov.NULL, sales),
        )
        if sales
    ]


@pytest.mark.parametrize(
    ("day", "back", "expected"),
    [
        (date(2026, 5, 31), 0, MAY),
        (date(2026, 1, 15), 1, date(2025, 12, 1)),
        (date(2026, 1, 1), 13, date(2024, 12, 1)),
        (date(2025, 12, 31), -1, date(2026, 1, 1)),
    ],
)
def test_first_of_month(day: date, back: int, expected: date) -> None:
    assert fit.first_of_month(day, back) == expected


def test_months_are_written_as_people_write_them() -> None:
    assert fit.parse_months(["2026-05", "2026-07", "2026-05"]) == {MAY, JULY}
    assert fit.parse_months([]) == frozenset()


@pytest.mark.parametrize(
    "text", ["2026", "05.2026", "2026-13", "2026-05-01", "май", ""]
)
def test_another_text_is_no_month(text: str) -> None:
    with pytest.raises(PipelineError, match=r"is no month: write it as 2026-05"):
        fit.parse_months([text])


def test_a_month_is_fitted_on_itself_and_the_two_before() -> None:
    early = steps_of(date(2026, 3, 1), 1, 9) + steps_of(date(2026, 4, 1), 1, 1)
    visits = [("sale", JUNE, markov.START, markov.NULL, 5)]
    fitted = fit.fit_months([*early, *steps_of(MAY, 2, 0), *visits])
    by_month = {each.month: each for each in fitted}
    # nobody bought in June: nothing is fitted for it
    assert sorted(by_month) == [date(2026, 3, 1), date(2026, 4, 1), MAY]
    may = by_month[MAY]
    assert (may.period_from, may.conversions, may.paths) == (date(2026, 3, 1), 14, 28)
    assert dict(
        zip(may.chain.channels, may.chain.shares, strict=True)
    ) == pytest.approx({"ads": 10 / 14, "seo": 4 / 14})
    alone = fit.fit_months([*early, *steps_of(MAY, 2, 0)], months_read=1)
    assert [each.conversions for each in alone] == [10, 2, 2]


def test_the_hash_is_of_the_steps_whatever_their_order() -> None:
    steps = steps_of(MAY, 3, 4)
    first = fit.fit_months(steps)[0].inputs_hash
    assert fit.fit_months(steps[::-1])[0].inputs_hash == first
    assert fit.fit_months(steps_of(MAY, 3, 5))[0].inputs_hash != first


class Books:
    """The steps that dbt counted, and the versions that are kept of them."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection

    def count(self, steps: Steps) -> None:
        self.connection.execute("truncate attribution.int_channel_transitions")
        self.connection.cursor().executemany(
            "insert into attribution.int_channel_transitions values (%s,%s,%s,%s,%s)",
            steps,
        )

    def build(self, name: str, as_of: date) -> int:
        """An open build of a run of that name."""
        self.connection.execute("insert into ops.runs (run_id) values (%s)", (name,))
        row = self.connection.execute(
            "insert into ops.builds (run_id, as_of) values (%s, %s) returning build_id",
            (name, as_of),
        ).fetchone()
        assert row is not None
        return int(row[0])

    def versions(self) -> list[tuple[str, str, bool, float]]:
        """Month, reason, whether in force, and the share of search: oldest first."""
        return self.connection.execute(
            """
            select to_char(conversion_month, 'YYYY-MM'), reason, is_current,
                round(effect_share::numeric, 6)::float8
            from attribution.fitted_versions
            left join attribution.fitted_weights using (version_id)
            where channel = 'seo'
            order by version_id
            """
        ).fetchall()


@pytest.fixture
def books(
    warehouse: str, connect_as: Callable[[str], psycopg.Connection[Any]]
) -> Iterator[Books]:
    connection = connect_as("postgres")
    connection.execute(
        """
        create table attribution.int_channel_transitions (
            fitted_kind text, path_month date, from_state text, to_state text,
            transitions bigint
        );
        alter table attribution.int_channel_transitions owner to transformer;
        """
    )
    yield Books(connection)
    connection.execute(
        "drop table attribution.int_channel_transitions; truncate "
        "attribution.fitted_weights, attribution.fitted_versions; "
        "delete from ops.builds; delete from ops.runs"
    )


def test_an_open_month_follows_its_inputs(books: Books) -> None:
    books.count(steps_of(MAY, 1, 3))
    books.build("first", date(2026, 5, 20))
    assert fit.fit_models("first") == {"made": 1, "kept": 0}
    assert fit.fit_models("first") == {"made": 0, "kept": 1}
    books.count(steps_of(MAY, 3, 1))
    second = books.build("second", date(2026, 6, 7))  # the 6th day after its end
    assert fit.fit_models("second") == {"made": 1, "kept": 0}
    assert books.versions() == [
        ("2026-05", "first", False, 0.25),
        ("2026-05", "open month", True, 0.75),
    ]
    (build, diagnostics), *_ = books.connection.execute(
        "select build_id, diagnostics from attribution.fitted_versions where is_current"
    ).fetchall()
    assert build == second
    assert diagnostics == {
        "conversions": 4, "paths": 8, "conversion_rate": 0.5, "channels": 2,
    }  # fmt: skip


def test_a_closed_month_keeps_its_version_when_a_late_deal_comes(books: Books) -> None:
    books.count(steps_of(MAY, 1, 3))
    books.build("first", date(2026, 5, 31))
    fit.fit_models("first")
    books.count(steps_of(MAY, 3, 1) + steps_of(JUNE, 1, 1))
    books.build("late", date(2026, 6, 8))
    assert fit.fit_models("late") == {"made": 1, "kept": 1}
    # June's chain reads what is known of May now
    assert books.versions() == [
        ("2026-05", "first", True, 0.25),
        ("2026-06", "first", True, 0.666667),
    ]


def test_a_restatement_makes_a_new_version_and_keeps_the_old(books: Books) -> None:
    books.count(steps_of(MAY, 1, 3) + steps_of(JUNE, 1, 1))
    books.build("first", date(2026, 7, 20))
    fit.fit_models("first")
    books.count(steps_of(MAY, 3, 1) + steps_of(JUNE, 5, 1))
    books.build("restated", date(2026, 7, 21))
    months = fit.parse_months(["2026-05"])
    assert fit.fit_models("restated", months) == {"made": 1, "kept": 1}
    # again, with nothing new: the same inputs make no version
    assert fit.fit_models("restated", months) == {"made": 0, "kept": 2}
    assert books.versions() == [
        ("2026-05", "first", False, 0.25),
        ("2026-06", "first", True, 0.333333),
        ("2026-05", "restated", True, 0.75),
    ]


def test_a_month_without_conversions_cannot_be_restated(books: Books) -> None:
    books.count(steps_of(MAY, 1, 3))
    books.build("first", date(2026, 6, 20))
    with pytest.raises(PipelineError, match=r"nothing to restate: .* 2026-07"):
        fit.fit_models("first", {MAY, JULY})
    assert books.versions() == []


def test_kinds_have_chains_of_their_own(books: Books) -> None:
    books.count(steps_of(MAY, 1, 3) + steps_of(MAY, 3, 1, kind="lead"))
    books.build("first", date(2026, 5, 20))
    assert fit.fit_models("first") == {"made": 2, "kept": 0}
    assert sorted(each[3] for each in books.versions()) == [0.25, 0.75]
