"""What one load does to the warehouse, case by case."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from connectors.base import landing
from connectors.base.batch import JsonBatch
from connectors.base.errors import (
    ConfigError,
    FatalError,
    ParseError,
    RetriableError,
)
from tests.connectors.landing.stand import (
    COLUMNS,
    DEALS,
    MAY,
    NAMES,
    STATS,
    VISITS,
    Stand,
    may,
    row,
    tsv,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def deal(key: int, total: str = "100", **more: Any) -> dict[str, Any]:
    return {"ID": str(key), "DATE": "2026-05-03", "SUM": total, **more}


# -- windows -------------------------------------------------------------------------------


def test_the_first_load_lands_everything(stand: Stand) -> None:
    result = stand.land(
        STATS, tsv([row(1, 1, "1.50"), row(2, 1, "--"), row(2, 2, "2")])
    )
    assert (result.state, result.rows_read, result.rows_new) == ("ok", 3, 3)
    assert result.amount_delta == Decimal("3.50")
    assert set(stand.rows(STATS)) == {"2026-05-01|1", "2026-05-02|1", "2026-05-02|2"}
    assert stand.rows(STATS)["2026-05-02|1"]["Cost"] == "--", "as the vendor gave it"
    assert stand.ledger() == [("ok", 3, 3, 0, 0, 0)]
    assert stand.by_day_of_changes(STATS) == {
        date(2026, 5, 1): (1, Decimal("1.50")),
        date(2026, 5, 2): (2, Decimal("2")),
    }


def test_the_same_answer_changes_nothing(stand: Stand) -> None:
    rows = [row(1 + n % 9, n, Phone="89000001234") for n in range(50)]
    stand.land(STATS, tsv(rows))
    query = "select record_key, xmin::text, ctid::text, load_id from raw.shop__stats"
    before = stand.ask(f"{query} where account_id = %s", stand.account.account)
    as_json = stand.land(STATS, list(reversed(rows)))
    as_tsv = stand.land(STATS, tsv(rows))
    for again in (as_json, as_tsv):
        assert (again.rows_new, again.rows_changed, again.rows_gone) == (0, 0, 0)
        assert again.amount_delta == 0
    assert stand.ask(f"{query} where account_id = %s", stand.account.account) == before
    changes = "select * from ops.load_changes where load_id in (%s, %s)"
    assert stand.ask(changes, as_json.load_id, as_tsv.load_id) == []


def test_a_restated_figure_arrives(stand: Stand) -> None:
    stand.land(STATS, tsv([row(1, 1, "1.50"), row(1, 2, "5.00")]))
    result = stand.land(STATS, tsv([row(1, 1, "1.25"), row(1, 2, "5.00")]))
    assert (result.rows_changed, result.amount_delta) == (1, Decimal("-0.25"))
    assert stand.rows(STATS)["2026-05-01|1"]["Cost"] == "1.25"
    assert stand.by_day(STATS) == stand.by_day_of_changes(STATS)


def test_a_row_that_is_gone_gets_a_tombstone_and_may_come_back(stand: Stand) -> None:
    rows = [row(1, n) for n in range(10)]
    stand.land(STATS, tsv(rows))
    gone = stand.land(STATS, tsv(rows[1:]))
    assert (gone.rows_gone, gone.amount_delta) == (1, Decimal("-1.00"))
    assert set(stand.rows(STATS, live=False)) == {"2026-05-01|0"}
    back = stand.land(STATS, tsv(rows))
    assert (back.rows_new, back.rows_changed) == (1, 0)
    assert stand.rows(STATS, live=False) == {}
    assert stand.by_day(STATS) == stand.by_day_of_changes(STATS)


def test_only_the_window_is_replaced(stand: Stand) -> None:
    stand.land(STATS, tsv([row(day, n) for day in (1, 2, 3) for n in range(10)]))
    second_day = [row(2, n) for n in range(9)]
    assert stand.land(STATS, tsv(second_day), window=may(2, 3)).rows_gone == 1
    assert len(stand.rows(STATS)) == 29


def test_a_row_may_move_to_another_day(stand: Stand) -> None:
    stand.land(VISITS, tsv([row(1, n) for n in range(5)]))
    moved = stand.land(VISITS, tsv([row(2, 0, "3.00")]), window=may(2, 3))
    assert (moved.rows_new, moved.rows_changed, moved.rows_gone) == (0, 1, 0)
    assert (
        stand.by_day(VISITS)
        == stand.by_day_of_changes(VISITS)
        == {
            date(2026, 5, 1): (4, Decimal("4.00")),
            date(2026, 5, 2): (1, Decimal("3.00")),
        }
    )


def test_an_answer_that_is_not_proved_whole_removes_nothing(stand: Stand) -> None:
    stand.land(STATS, tsv([row(1, n) for n in range(10)]))
    result = stand.land(STATS, tsv([row(1, n) for n in range(9)]), complete=False)
    assert (result.rows_gone, result.rows_withheld) == (0, 0)
    assert len(stand.rows(STATS)) == 10


def test_more_than_a_fifth_of_the_rows_is_not_believed(stand: Stand) -> None:
    rows = [row(1, n) for n in range(10)]
    stand.land(STATS, tsv(rows))
    result = stand.land(STATS, tsv([*rows[3:], row(1, "new")]))
    assert (result.rows_new, result.rows_gone, result.rows_withheld) == (1, 0, 3)
    ((message,),) = stand.ask(
        "select message from ops.warnings where load_id = %s", result.load_id
    )
    assert message.startswith(
        "3 rows are missing from the answer but stay: they are more"
    )
    exactly = stand.land(STATS, tsv([*rows[2:], row(1, "new")]))
    assert exactly.rows_gone == 2, "a fifth is not more than a fifth"


def test_more_than_a_fifth_of_the_money_is_not_believed(stand: Stand) -> None:
    rows = [row(1, 0, "50.00"), *(row(1, n) for n in range(1, 20))]
    stand.land(STATS, tsv(rows))
    result = stand.land(STATS, tsv(rows[1:]))
    assert (result.rows_gone, result.rows_withheld) == (0, 1)


def test_the_accounts_own_total_overrules(stand: Stand) -> None:
    rows = [row(1, n) for n in range(10)]
    stand.land(STATS, tsv(rows))
    wrong = stand.land(STATS, tsv(rows[5:]), control_total=Decimal("10.00"))
    assert (wrong.rows_gone, wrong.rows_withheld) == (0, 5)
    right = stand.land(STATS, tsv(rows[5:]), control_total=lambda: Decimal("5.00"))
    assert (right.rows_gone, right.rows_withheld) == (5, 0)
    empty = stand.land(STATS, control_total=Decimal(0))
    assert (empty.state, empty.rows_gone) == ("ok_empty", 5)


def test_no_rows_are_ok_empty_and_remove_nothing(stand: Stand) -> None:
    assert stand.land(STATS).state == "ok_empty"
    stand.land(STATS, tsv([row(1, 1)]))
    again = stand.land(STATS)
    assert (again.state, again.rows_gone, again.rows_withheld) == ("ok_empty", 0, 1)
    assert len(stand.rows(STATS)) == 1


def test_equal_duplicates_collapse_and_are_counted(stand: Stand) -> None:
    rows = [row(1, n, "2.00") for n in range(10)]
    first = stand.land(STATS, tsv(rows), tsv(rows[:3]), rows[2:4])
    assert (first.rows_read, first.rows_new, first.rows_duplicate) == (15, 10, 5)
    second = stand.land(STATS, tsv(rows), tsv(rows[:2]))
    assert (second.rows_duplicate, second.rows_new + second.rows_changed) == (2, 0)
    totals = stand.ask(
        "select amount_total from ops.loads where account_id = %s",
        stand.account.account,
    )
    assert totals == [(Decimal("20.00"),)] * 2


@pytest.mark.parametrize("known", [False, True])
def test_differing_duplicates_fail_the_load(stand: Stand, known: bool) -> None:
    if known:
        stand.land(STATS, tsv([row(1, 1, "1.00")]))
    with pytest.raises(ParseError, match="1 keys came more than once with differing"):
        stand.land(STATS, tsv([row(1, 1, "1.00"), row(1, 2)]), [row(1, 1, "9.00")])
    assert len(stand.rows(STATS)) == int(known)
    assert stand.ledger()[-1][0] == "failed"


def test_duplicates_are_found_between_two_copies(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "GROUP", 1)
    rows = [row(1, n) for n in range(6)]
    result = stand.land(STATS, *([each] for each in rows), rows[:2], [row(1, 7)])
    assert (result.rows_new, result.rows_duplicate) == (7, 2)
    assert stand.by_day(STATS) == stand.by_day_of_changes(STATS)
    with pytest.raises(ParseError, match="differing"):
        stand.land(STATS, [row(2, 1)], [row(2, 2)], [row(2, 1, "5")], window=may(2, 3))


@pytest.mark.parametrize(
    "figure",
    [
        "0",
        "1.50",
        "-2.25",
        "+3",
        ".5",
        "7.",
        "1e2",
        "1E-2",
        " 4 ",
        "--",
        "",
        12,
        1.1,
        None,
    ],
)
def test_the_database_reads_figures_as_landing_does(stand: Stand, figure: Any) -> None:
    record = row(1, 1) | {"Cost": figure}
    first = stand.land(STATS, [record])  # summed up by landing
    again = stand.land(STATS, [record | {"Name": "new"}, row(1, 2, "1.00")])
    assert again.amount_delta == Decimal("1.00"), "summed up by the database"
    total = first.amount_delta + again.amount_delta
    assert stand.by_day(STATS) == {date(2026, 5, 1): (2, total)}
    assert stand.ask("select ops.amount('--'), ops.amount('x'), ops.amount(null)") == [
        (0, 0, 0)
    ]


@pytest.mark.parametrize("figure", ["1_000", "NaN", "Infinity", "1,5", "１", True, [1]])
def test_what_is_no_figure_is_a_dead_letter(stand: Stand, figure: Any) -> None:
    result = stand.land(STATS, [row(1, 1) | {"Cost": figure}, row(1, 2)])
    assert (result.rows_dead, result.rows_new) == (1, 1)


# -- dead letters --------------------------------------------------------------------------


def test_a_few_dead_letters_are_kept_apart(stand: Stand) -> None:
    bad = [row(1, 1, "much"), {"Id": "2"}]
    rows = [row(1, n) for n in range(10, 20)]
    result = stand.land(STATS, rows + bad)
    assert (result.rows_read, result.rows_new, result.rows_dead) == (12, 10, 2)
    letters = stand.ask(
        "select record_key, reason, convert_from(payload, 'UTF8') "
        "from ops.dead_letters join pii.dead_letter_payloads using (dead_letter_id) "
        "where load_id = %s order by dead_letter_id",
        result.load_id,
    )
    assert letters[0][:2] == ("2026-05-01|1", "field Cost is not a number")
    assert '"Cost":"much"' in letters[0][2]
    assert letters[1] == (None, "key field Date is missing", '{"Id":"2"}')


@pytest.mark.parametrize(
    ("good", "bad", "fails"), [(4, 3, False), (9, 4, True), (2, 3, True)]
)
def test_a_small_load_may_have_three(
    stand: Stand, good: int, bad: int, fails: bool
) -> None:
    rows = [row(1, n) for n in range(good)] + [row(1, 100 + n, "x") for n in range(bad)]
    if not fails:
        assert stand.land(STATS, rows).rows_dead == bad
        return
    with pytest.raises(ParseError, match="field Cost is not a number"):
        stand.land(STATS, rows)
    assert stand.ask("select count(*) from ops.dead_letters") == stand.ask(
        "select count(*) from ops.dead_letters join ops.loads using (load_id) "
        "where state = 'ok'"
    )


def test_a_large_load_may_have_one_in_a_thousand(stand: Stand) -> None:
    rows = [row(1, n) for n in range(5000)]
    dead = [row(1, f"x{n}", "x") for n in range(6)]
    assert stand.land(STATS, rows[5:] + dead[:5]).rows_dead == 5
    with pytest.raises(ParseError, match="6 of 5000"):
        stand.land(STATS, rows[6:] + dead)


def test_a_dead_letter_is_not_taken_for_deleted(stand: Stand) -> None:
    rows = [row(1, n) for n in range(10)]
    stand.land(STATS, rows)
    result = stand.land(STATS, [*rows[1:], row(1, 0, "much")])
    assert (result.rows_dead, result.rows_gone) == (1, 0)
    unkeyed = stand.land(STATS, [*rows[1:], {"Id": "0"}])
    assert (unkeyed.rows_dead, unkeyed.rows_gone, unkeyed.rows_withheld) == (1, 0, 1)


# -- personal data -------------------------------------------------------------------------


def test_tokens_facts_and_spellings_are_written_once(stand: Stand) -> None:
    typed = ("8 900 111-22-33", "+79001112233")
    records = [
        deal(1, PHONE=[{"VALUE": typed[0]}], NAME="Пётр", LAST_NAME="Иванов"),
        deal(2, PHONE=typed[1], EMAIL="Petr@example.com", LINE="+74951112233"),
    ]
    stand.land(DEALS, records)
    rows = stand.rows(DEALS)
    token = rows["2"]["PHONE"]
    assert rows["1"]["PHONE"] == [{"VALUE": token}]
    assert rows["1"]["_name_token"].startswith("nm1_")
    contact = (
        "select kind, value, spellings, xmin::text from pii.contacts where token = %s"
    )
    before = stand.ask(contact, token)
    assert before[0][:3] == ("phone", "+79001112233", sorted(typed))
    stand.land(DEALS, records)
    assert stand.ask(contact, token) == before, "nothing new, nothing written"
    stand.land(DEALS, [deal(3, PHONE="8(900)1112233")])
    assert len(stand.ask(contact, token)[0][2]) == 3
    facts = stand.ask(
        "select number_type, country, masked, is_own_number from identity.token_facts "
        "where token = %s",
        token,
    )
    assert facts == [("mobile", "RU", "+7***33", False)]


def test_the_words_of_a_name_are_tokens_also_of_one_known_before(stand: Stand) -> None:
    stand.land(DEALS, [deal(1, NAME="Пётр Иванов")])
    token = stand.rows(DEALS)["1"]["_name_token"]
    query = "select words from identity.token_facts where token = %s"
    ((words,),) = stand.ask(query, token)
    assert re.fullmatch(r"wd1_[a-z2-7]{26} wd1_[a-z2-7]{26}", words)
    # facts of an older version do not know them: they come with the next record
    stand.ask("update identity.token_facts set words = null returning token")
    stand.land(DEALS, [deal(2, NAME="ИВАНОВ ПЕТР")])
    assert stand.ask(query, token) == [(words,)]


def test_our_own_line_is_marked_even_when_it_called_before(stand: Stand) -> None:
    stand.land(DEALS, [deal(1, PHONE="+74952223344")])
    token = stand.rows(DEALS)["1"]["PHONE"]
    stand.land(DEALS, [deal(2, LINE="+74952223344")])
    query = "select is_own_number from identity.token_facts where token = %s"
    assert stand.ask(query, token) == [(True,)]
    stand.land(DEALS, [deal(3, PHONE="8 495 222-33-44")])
    assert stand.ask(query, token) == [(True,)]


def test_what_is_not_declared_is_sealed_with_one_warning(stand: Stand) -> None:
    records = [deal(n, secret={"phone": f"+7900000{n:04}"}) for n in range(30)]
    first = stand.land(DEALS, records)
    assert all("secret" not in record for record in stand.rows(DEALS).values())
    sealed = (
        "select field, value, load_id from pii.sealed "
        "where account_id = %s and record_key = '7'"
    )
    value = {"phone": "+79000000007"}
    assert stand.ask(sealed, stand.account.account) == [
        ("secret", value, first.load_id)
    ]
    warnings = "select message from ops.warnings where load_id = %s"
    ((message,),) = stand.ask(warnings, first.load_id)
    assert message.startswith("fields that are not declared")
    assert message.endswith(": secret")
    stand.land(DEALS, records)
    assert stand.ask(sealed, stand.account.account) == [
        ("secret", value, first.load_id)
    ]


def test_an_unreadable_contact_is_null_and_sealed(stand: Stand) -> None:
    stand.land(DEALS, [deal(1, PHONE="call me")])
    assert stand.rows(DEALS)["1"]["PHONE"] is None
    sealed = stand.ask(
        "select field, value from pii.sealed where account_id = %s",
        stand.account.account,
    )
    assert sealed == [("PHONE", "call me")]


def test_no_contact_stays_clear_outside_pii(stand: Stand) -> None:
    clear = ("900333", "9003334455", "clear.mail", "Кузьминишна")
    phone, mail, name = "8 (900) 333-44-55", "Clear.Mail@example.com", "Кузьминишна"
    link = f"https://shop.example/?phone={phone}&e-mail={mail}&name={name}"
    rows = [
        row(1, 1, Phone=phone, Note=f"{mail} и 8-900-333-44-55", Url=link),
        row(1, 2, Phone=f"{phone}, 79003334466", Note="тел89003334455", Url="x"),
        row(1, 3, Phone=mail, Note=f"<{mail}>", Url=f"tel:{phone}"),
        row(1, 4, "9003334455x", Phone=phone, Note=mail),  # a dead letter
        {"Date": phone, "Id": mail},  # one without a key
        row(1, 5, Name="", Secret=phone),
        row(1, 6, Phone=f"no phone {name}"),
    ]
    stand.land(STATS, tsv(rows[:3]), rows[3:])
    contact = {
        "PHONE": [{"VALUE": phone, "COMMENT": mail}],
        "EMAIL": mail,
        "NAME": name,
    }
    stand.land(DEALS, [deal(1, **contact, LAST_NAME=name, COMMENTS=f"{mail}, {phone}")])
    tables = stand.ask(
        "select format('%%I.%%I', schemaname, tablename) from pg_tables "
        "where schemaname in ('raw', 'ops', 'identity') "
        "and has_table_privilege(format('%%I.%%I', schemaname, tablename), 'select')"
    )
    assert {("raw.shop__stats",), ("ops.dead_letters",)} <= set(tables)
    for (table,) in tables:
        for (text,) in stand.ask(f"select t::text from {table} as t"):
            squeezed = re.sub(r"[\s()-]", "", text).lower()
            assert not any(each.lower() in squeezed for each in clear), (table, text)
    ((count,),) = stand.ask(
        "select count(*) from pii.contacts where value in "
        "('+79003334455', '+79003334466', 'clear.mail@example.com', 'кузьминишна')"
    )
    assert count == 4, "pii has them"


# -- strange letters -------------------------------------------------------------------------


STRANGE = [
    "таб\tстрока\nконец\rвсё",
    "\\N",
    "\\.",
    "\\",
    "a\\tb\\\\",
    '"кавычки"',
    "'",
    "{}",
    "%b %s %%",
    "🦊 \u200d \u202e \ufeff",
    "é e\u0301",
    "\x01\x1f\x7f",
    "\u2028\u2029",
    "12345678901234567890",
    "99999999999999999999999999",
    "0012",
    "1e5",
    "--",
    " ведущий пробел",
]


@pytest.mark.parametrize("text", STRANGE)
def test_strange_text_survives(stand: Stand, text: str) -> None:
    stand.land(STATS, [row(1, text, Name=text)])
    (record,) = stand.rows(STATS).values()
    assert (record["Id"], record["Name"]) == (text, text)
    again = stand.land(STATS, [row(1, text, Name=text)])
    assert (again.rows_new, again.rows_changed) == (0, 0)


def test_nul_becomes_a_replacement_character_with_a_warning(stand: Stand) -> None:
    result = stand.land(STATS, [row(1, 1, Name="a\0b")], tsv([row(1, 2, Name="\0")]))
    names = {key: record["Name"] for key, record in stand.rows(STATS).items()}
    assert names == {"2026-05-01|1": "a\ufffdb", "2026-05-01|2": "\ufffd"}
    ((message,),) = stand.ask(
        "select message from ops.warnings where load_id = %s", result.load_id
    )
    assert "U+FFFD" in message


def test_a_column_that_no_longer_comes_is_told(stand: Stand) -> None:
    fewer = tuple(name for name in COLUMNS if name != "Name")
    result = stand.land(STATS, tsv([row(1, 1, "2.50")], fewer))
    (record,) = stand.rows(STATS).values()
    assert record["Cost"] == "2.50"
    ((message,),) = stand.ask(
        "select message from ops.warnings where load_id = %s", result.load_id
    )
    assert message == "the answer lacks declared columns, which stay empty: Name"


def test_long_numbers_are_not_rounded(stand: Stand) -> None:
    records = [{"Id": 12345678901234567890, "Name": 2**80}]
    stand.land(NAMES, records)
    ((key, name),) = stand.ask(
        "select record_key, record->>'Name' from raw.shop__names where account_id = %s",
        stand.account.account,
    )
    assert (key, name) == ("12345678901234567890", str(2**80))


# -- entities and snapshots --------------------------------------------------------------------


def test_entities_are_added_and_updated_and_never_removed(stand: Stand) -> None:
    stand.land(DEALS, [deal(1), deal(2)], cursor="2026-05-01")
    result = stand.land(DEALS, [deal(2, "150")], cursor=lambda: "2026-05-02")
    assert (result.rows_new, result.rows_changed, result.rows_gone) == (0, 1, 0)
    assert result.amount_delta == 50
    assert set(stand.rows(DEALS)) == {"1", "2"}
    cursors = stand.ask(
        "select cursor from ops.loads where account_id = %s order by load_id",
        stand.account.account,
    )
    assert cursors == [("2026-05-01",), ("2026-05-02",)]


def test_two_sweeps_that_miss_a_key_make_it_gone(stand: Stand) -> None:
    stand.land(DEALS, [deal(1), deal(2), deal(3)])
    assert stand.sweep(DEALS, "1", "2").rows_gone == 0
    assert stand.sweep(DEALS, "1", "2", "3").rows_gone == 0, "seen again in between"
    assert stand.sweep(DEALS, "1", "2").rows_gone == 0
    second = stand.sweep(DEALS, "1", "2", "9")
    assert (second.rows_gone, second.amount_delta) == (1, Decimal(-100))
    assert set(stand.rows(DEALS, live=False)) == {"3"}
    assert stand.sweep(DEALS, "1", "2").rows_gone == 0
    assert stand.by_day(DEALS) == stand.by_day_of_changes(DEALS)


def test_a_key_that_returns_is_live_again(stand: Stand) -> None:
    stand.land(DEALS, [deal(1), deal(2)])
    stand.sweep(DEALS, "1")
    stand.sweep(DEALS, "1")
    back = stand.sweep(DEALS, "1", "2")
    assert (back.rows_new, back.amount_delta) == (1, Decimal(100))
    assert set(stand.rows(DEALS)) == {"1", "2"}
    stand.sweep(DEALS, "1")
    stand.sweep(DEALS, "1")
    assert stand.land(DEALS, [deal(2)]).rows_new == 1
    assert set(stand.rows(DEALS)) == {"1", "2"}
    assert stand.by_day(DEALS) == stand.by_day_of_changes(DEALS)


def test_a_sweep_that_misses_too_much_is_not_believed(stand: Stand) -> None:
    stand.land(DEALS, [deal(n) for n in range(40)])
    seen = [str(n) for n in range(25)]
    stand.sweep(DEALS, *seen)
    result = stand.sweep(DEALS, *seen)
    assert (result.rows_gone, result.rows_withheld) == (0, 15)
    assert len(stand.rows(DEALS)) == 40


def test_a_snapshot_replaces_all_keys_but_not_by_nothing(stand: Stand) -> None:
    stand.land(NAMES, [{"Id": n, "Name": "a"} for n in range(4)])
    result = stand.land(NAMES, [{"Id": 0, "Name": "b"}, {"Id": 9, "Name": "c"}])
    assert (result.rows_new, result.rows_changed, result.rows_gone) == (1, 1, 3)
    assert set(stand.rows(NAMES)) == {"0", "9"}
    empty = stand.land(NAMES)
    assert (empty.state, empty.rows_gone, empty.rows_withheld) == ("ok_empty", 0, 2)


# -- failing -----------------------------------------------------------------------------------


def interrupted(error: BaseException, rows: int = 3000) -> Iterator[JsonBatch]:
    yield JsonBatch([row(1, n, Phone=f"8900{n:07}") for n in range(rows)])
    raise error


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (RetriableError("the vendor hung up"), "the vendor hung up"),
        (ValueError("89000001234"), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_what_fails_leaves_one_row_in_the_ledger(
    stand: Stand, error: BaseException, text: str, known: bool
) -> None:
    if known:
        stand.land(STATS, [row(1, 1, "5.00")])
    before = stand.rows(STATS), len(stand.ledger())
    contacts = stand.ask("select count(*) from pii.contacts")
    with pytest.raises(type(error)):
        stand.stream(STATS, interrupted(error))
    assert (stand.rows(STATS), len(stand.ledger()) - 1) == before
    assert stand.ask("select count(*) from pii.contacts") == contacts
    last = stand.ask(
        "select state, rows_read, error from ops.loads where account_id = %s "
        "order by load_id desc limit 1",
        stand.account.account,
    )
    assert last == [("failed", 3000, text)]


def test_an_error_of_the_database_shows_no_values(stand: Stand) -> None:
    stand.land(STATS, [row(1, 1)])
    with pytest.raises(FatalError, match="the warehouse refused it") as caught:
        stand.land(STATS, [row(1, "89000001234", "1" + "0" * 200_000)])
    assert "89000001234" not in str(caught.value)
    assert stand.ledger()[-1][0] == "failed"


def test_a_lost_connection_is_written_down_through_another(
    stand: Stand, loader: str, database: str
) -> None:
    with psycopg.connect(loader) as connection:
        doomed = Stand(connection, stand.account.account)

        def batches() -> Iterator[JsonBatch]:
            yield JsonBatch([row(1, 1)])
            with psycopg.connect(database, autocommit=True) as admin:
                admin.execute(
                    "select pg_terminate_backend(%s)", (connection.info.backend_pid,)
                )
            yield JsonBatch([row(1, n) for n in range(2, 2000)])

        with pytest.raises(RetriableError, match="the warehouse refused it"):
            doomed.stream(STATS, batches())
    assert [each[0] for each in stand.ledger()] == ["failed"]


def test_two_loads_of_a_stream_wait_for_each_other(stand: Stand, loader: str) -> None:
    order: list[str] = []
    reading = threading.Event()

    def slow() -> Iterator[JsonBatch]:
        yield JsonBatch([row(1, 1, "1.00")])
        reading.set()
        time.sleep(0.5)
        order.append("first has read")

    def first() -> None:
        with psycopg.connect(loader) as connection:
            Stand(connection, stand.account.account).stream(STATS, slow())

    thread = threading.Thread(target=first)
    thread.start()
    assert reading.wait(10)

    def second() -> Iterator[JsonBatch]:
        order.append("second reads")
        yield JsonBatch([row(1, 1, "2.00")])

    result = stand.stream(STATS, second())
    thread.join()
    assert order == ["first has read", "second reads"]
    assert (result.rows_new, result.rows_changed) == (0, 1)


def test_a_lock_that_is_held_too_long_is_retriable(
    stand: Stand, loader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landing, "LOCK_SECONDS", 1)
    stand.land(STATS, [row(1, 1)])
    with psycopg.connect(loader) as other:
        name = f"landing:shop/{stand.account.account}/stats"
        other.execute("select pg_advisory_xact_lock(hashtextextended(%s, 0))", (name,))
        with pytest.raises(RetriableError, match="another load of this stream"):
            stand.land(STATS, [row(1, 2)])
    assert set(stand.rows(STATS)) == {"2026-05-01|1"}


def test_other_streams_and_accounts_do_not_wait(stand: Stand, loader: str) -> None:
    with psycopg.connect(loader) as connection:
        other = Stand(connection, f"{stand.account.account}_b")

        def batches() -> Iterator[JsonBatch]:
            other.land(STATS, [row(1, 1)])
            other.land(VISITS, [row(1, 1)])
            yield JsonBatch([row(1, 1)])

        stand.stream(STATS, batches())
    assert len(stand.rows(STATS)) == 1


def test_a_connection_in_a_transaction_is_refused(loader: str, stand: Stand) -> None:
    with psycopg.connect(loader) as connection:
        connection.execute("select 1")
        with pytest.raises(ValueError, match="without an open transaction"):
            Stand(connection, stand.account.account).land(STATS, [])


def test_window_streams_need_a_window_and_only_they(stand: Stand) -> None:
    with pytest.raises(ConfigError, match="a window"):
        stand.land(DEALS, [], window=MAY)
    with pytest.raises(ConfigError, match="a window"):
        stand.land(STATS, [], window=None)
    with pytest.raises(ConfigError, match="no sweep"):
        stand.sweep(STATS)


def test_an_autocommit_connection_lands_whole_as_well(
    stand: Stand, loader: str
) -> None:
    with psycopg.connect(loader, autocommit=True) as connection:
        auto = Stand(connection, stand.account.account)
        with pytest.raises(ParseError):
            auto.land(STATS, [row(1, 1, "1"), row(1, 1, "2")])
        assert stand.rows(STATS) == {}
        assert auto.land(STATS, [row(1, 1)]).rows_new == 1
    assert len(stand.rows(STATS)) == 1
    assert COLUMNS[0] in stand.rows(STATS)["2026-05-01|1"]


def test_two_accounts_may_make_their_raw_table_at_once(loader: str) -> None:
    make = "select ops.create_raw_table('shop', 'raced')"
    with (
        psycopg.connect(loader) as first,
        psycopg.connect(loader, autocommit=True) as second,
        ThreadPoolExecutor(1) as pool,
    ):
        # a session that made tables before, and has just looked for this one in vain
        for other in ("warm", "warmer"):
            second.execute(f"select ops.create_raw_table('shop', '{other}')")
        second.execute("begin")
        second.execute("select to_regclass('raw.shop__raced')")
        assert first.execute(make).fetchone() == (True,)
        answer = pool.submit(lambda: second.execute(make).fetchone())
        time.sleep(0.3)
        assert not answer.done()
        first.commit()
        assert answer.result(timeout=10) == (False,)
