"""A sheet that people keep: headers, rows and ids."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from connectors.base import registry
from connectors.base.errors import ConfigError, ConnectorError, FatalError, ParseError
from connectors.google_sheets import GoogleSheets
from simulator.face import Response, json_response

if TYPE_CHECKING:
    from connectors.base.connector import Connector
    from tests.connectors.bench import Bench, OnBench, Warehouse

LEADS = GoogleSheets.stream("leads")
COSTS = GoogleSheets.stream("costs")
HEADER = ["№", "Дата", "Телефон", "Имя", "Марка", "Статус", "Откуда", "Оператор",
          "Комментарий"]  # fmt: skip


def answer(*rows: list[Any], title: str = "Заявки", first: int = 1) -> bytes:
    content = {"range": f"'{title}'!A{first}:I1000", "majorDimension": "ROWS"}
    if rows:
        content["values"] = list(rows)  # type: ignore[assignment]
    return json.dumps(content).encode()


def lead(number: Any, phone: Any = "89990000001", **cells: Any) -> list[Any]:
    given = {"Дата": 46143.5, "Телефон": phone, "Имя": "Анна", **cells}
    return [number, *(given.get(title, "") for title in HEADER[1:])]


def serve(bench: Bench, *rows: list[Any], title: str = "Заявки") -> None:
    """Let the sheet hold these rows from now on."""

    def give(request: Any, ask: Any) -> Response:
        if "/values/" not in request.path:
            return ask(request)  # type: ignore[no-any-return]
        return json_response(json.loads(answer(*rows, title=title)))

    bench.face.strike_all(give)


def without_key(bench: Bench, **changed: Any) -> Connector:
    """The connector of a sheet without a column that numbers its rows."""
    sheets = json.loads(json.dumps(bench.account.settings["sheets"]))
    sheets[0].pop("key")
    sheets[0].update(changed)
    settings = {**bench.account.settings, "sheets": sheets}
    return bench.connector(bench.account.model_copy(update={"settings": settings}))


def test_the_sheet_of_the_call_centre_is_read_as_it_is_kept(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    view = bench.world.branch("kazan").as_of(bench.server.options.now)
    rows = {row["lead_id"]: row for row in bench.read(LEADS)}
    assert rows.keys() == {str(each.lead_id) for each in view.leads}
    for each in view.leads:
        row = rows[str(each.lead_id)]
        assert (row["status"] or "").strip() == each.status_text.strip()
        assert row["interest"] == (each.interest or None)
        moment = each.created_at.replace(microsecond=0) + timedelta(hours=3)
        assert row["created_at"] == f"{moment:%Y-%m-%dT%H:%M:%S}+03:00"
    assert any(isinstance(row["phone"], list) for row in rows.values())


def test_the_sheet_of_costs_adds_up_to_the_truth(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    view = bench.world.branch("kazan").as_of(bench.server.options.now)
    costs = [each for each in view.manual_costs if each.where == "sheet"]
    rows = bench.read(COSTS)
    assert len(rows) == len(costs) > 0
    total = Decimal(sum(each.amount_kopecks for each in costs)) / 100
    assert sum(Decimal(row["amount"]) for row in rows) == total


def test_ragged_rows_and_typed_dates_are_read(on_bench: OnBench) -> None:
    connector = on_bench("google_sheets").connector()
    body = answer(
        ["Заявки, май"],
        [],
        HEADER,
        [1, 46143.5, 7.9990000001e10],
        [2, "01.05.2026", "8 999 000-00-01,\n8 999 000-00-02", "", "", "думает"],
        [],
        [3, "2026-05-01 10:15"],
        first=1,
    )
    first, second = connector.parse(LEADS, body, {})
    assert (first["phone"], first["created_at"]) == (
        "79990000001",
        "2026-05-01T12:00:00+03:00",
    )
    assert first["status"] is None
    assert second["phone"] == ["8 999 000-00-01", "8 999 000-00-02"]
    assert second["status"] == "думает"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "no header"),
        ([HEADER[:2], lead(1)], 'no column "Телефон"'),
        ([[*HEADER, "Телефон"], lead(1)], '"Телефон" is there twice'),
        ([["№", "Дата звонка", *HEADER[2:]], lead(1)], 'renamed to "Дата звонка"'),
        ([HEADER[1:], lead(1)[1:]], 'no column "№"'),
    ],
)
def test_a_changed_header_fails_and_names_column_and_sheet(
    rows: list[list[Any]], message: str, on_bench: OnBench
) -> None:
    bench = on_bench("google_sheets")
    serve(bench, *rows)
    with pytest.raises(ParseError, match=message) as caught:
        bench.read(LEADS)
    assert 'google_sheets/kazan: sheet "Заявки"' in str(caught.value)
    assert "89990000001" not in str(caught.value)


def test_an_unreadable_row_is_a_dead_letter_with_its_line(
    on_bench: OnBench, warehouse: Warehouse
) -> None:
    bench = on_bench("google_sheets")
    account = warehouse.account(bench)
    serve(
        bench,
        HEADER,
        lead(1),
        lead(2, Дата="30/20/2016"),
        lead(3),
        lead(4, phone="", Имя=""),
        lead(3, Имя="Пётр"),
        ["", 46143, "89990000005", "Олег"],
    )
    result = warehouse.land(bench, LEADS, account)
    assert (result.state, result.rows_new, result.rows_dead) == ("ok", 2, 4)
    reasons = warehouse.root.execute(
        "select reason from ops.dead_letters where account_id = %s"
        " order by dead_letter_id",
        (account.account,),
    ).fetchall()
    begin = f'google_sheets/{account.account}: sheet "Заявки", line'
    assert [reason for (reason,) in reasons] == [
        f'{begin} 3: column "Дата": is a date that no calendar has (day first)',
        f'{begin} 5: column "Телефон": is empty, and so are the e-mail and the name',
        f'{begin} 6: column "№": stands already in line 4',
        f'{begin} 7: column "№": is empty',
    ]


def test_a_row_keeps_its_id_while_people_work_on_it(on_bench: OnBench) -> None:
    """Without a key column the id is made of what does not change."""
    bench = on_bench("google_sheets")
    connector = without_key(bench)
    serve(bench, HEADER, lead(1, Статус="новая"), lead(2, phone="89990000002"))
    before = bench.read(LEADS, connector=connector)
    serve(bench, HEADER, lead(5, phone="89990000009"), lead(2, phone="89990000002"),
          lead(1, Статус="купил", Комментарий="в мае", Марка="Веста"))  # fmt: skip
    after = {row["lead_id"]: row for row in bench.read(LEADS, connector=connector)}
    assert {row["lead_id"] for row in before} < after.keys()
    assert after[before[0]["lead_id"]]["status"] == "купил"
    assert "89990000001" not in str(list(after))


def test_a_deleted_row_goes(on_bench: OnBench, warehouse: Warehouse) -> None:
    bench = on_bench("google_sheets")
    account = warehouse.account(bench)
    serve(bench, HEADER, *(lead(number) for number in range(1, 9)))
    warehouse.land(bench, LEADS, account)
    serve(bench, HEADER, *(lead(number) for number in range(2, 9)))
    assert warehouse.land(bench, LEADS, account).rows_gone == 1
    assert "1" not in warehouse.live(LEADS, account)


def test_merged_cells_count_for_the_rows_below_when_told_so(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    serve(bench, HEADER, lead(1), lead(2, Дата=""), lead(3, Дата=""))
    assert len(bench.read(LEADS)) == 1
    rows = bench.read(LEADS, connector=without_key(bench, fill_down=["created_at"]))
    assert len({row["created_at"] for row in rows}) == 1
    assert len(rows) == 3


def test_two_sheets_of_one_stream_are_one_list(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    sheets = json.loads(json.dumps(bench.account.settings["sheets"]))
    sheets.append({**sheets[0], "range": "'Май 2026'!A:I"})
    settings = {**bench.account.settings, "sheets": sheets}
    connector = bench.connector(bench.account.model_copy(update={"settings": settings}))

    def give(request: Any, ask: Any) -> Response:
        if "/values/" not in request.path:
            return ask(request)  # type: ignore[no-any-return]
        may = "2026" in request.path
        rows = [lead(2, Имя="Олег"), lead(3)] if may else [lead(1), lead(2)]
        title = "Май 2026" if may else "Заявки"
        return json_response(json.loads(answer(HEADER, *rows, title=title)))

    bench.face.strike_all(give)
    batches = list(connector.pages(LEADS, None, None))
    rows = [row for batch in batches for row in batch.records]  # type: ignore[union-attr]
    assert [(row["lead_id"], row["sheet"]) for row in rows] == [
        ("1", "Заявки"), ("2", "Заявки"), ("3", "Май 2026")
    ]  # fmt: skip
    (refused,) = batches[1].refused  # type: ignore[union-attr]
    assert "stands in another table, too" in refused.reason


def test_check_names_the_first_wrong_rows(on_bench: OnBench) -> None:
    lines = on_bench("google_sheets").connector().check()
    assert lines[0].startswith('sheet "Заявки" (leads): ')
    assert lines[-1].startswith('sheet "Расходы" (costs): ')


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"range": "Лист9!A:Z"}, "no such sheet or range.*settings.sheets"),
        ({"spreadsheet_id": "another-one"}, "share the spreadsheet"),
    ],
)
def test_a_wrong_place_is_explained(
    change: dict[str, Any], message: str, on_bench: OnBench
) -> None:
    bench = on_bench("google_sheets")
    with pytest.raises(FatalError, match=message):
        bench.read(LEADS, connector=without_key(bench, **change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"columns": {"phone": "Телефон"}}, "columns lacks created_at"),
        ({"columns": {"fone": "Телефон"}}, "'fone' is no column of leads"),
        ({"stream": "deals"}, "stream"),
        ({"fill_down": ["x"]}, "'x' is no column"),
    ],
)
def test_a_wrong_mapping_is_named_before_any_request(
    change: dict[str, Any], message: str, on_bench: OnBench
) -> None:
    bench = on_bench("google_sheets")
    with pytest.raises(ConfigError, match=message):
        without_key(bench, **change)
    assert bench.requests == 0


def test_columns_that_are_ignored_are_not_even_sealed(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    serve(bench, [*HEADER, "Паспорт"], [*lead(1), "нет"])
    assert bench.read(LEADS)[0]["Паспорт"] == "нет"
    rows = bench.read(LEADS, connector=without_key(bench, ignore=["паспорт", "№"]))
    assert rows[0].keys() == {each.name for each in LEADS.fields}


def test_only_streams_with_a_sheet_are_read(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets")
    settings = {
        **bench.account.settings,
        "sheets": bench.account.settings["sheets"][1:],
    }
    account = bench.account.model_copy(update={"settings": settings})
    assert registry.connector_class("google_sheets").streams_of(account) == (COSTS,)


def test_a_quota_that_is_used_up_is_waited_out(on_bench: OnBench) -> None:
    bench = on_bench("google_sheets", rate_limits=True)
    for _ in range(61):
        try:
            bench.read(COSTS)
        except ConnectorError as error:
            assert "RESOURCE_EXHAUSTED" in str(error)
            return
    raise AssertionError("the quota was never used up")
