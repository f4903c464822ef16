"""A recorded account has nobody in it, and is read as the real one was."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from connectors.base import registry
from connectors.base.errors import FatalError, ParseError
from connectors.base.recording import Fakes, Recording, Scrubber, recorder
from connectors.base.stream import Stream, fields
from simulator.face import Options
from simulator.recorded import Recorded
from simulator.server import RunningServer
from tests.connectors.bench import (
    CANARY,
    Case,
    LastingTokens,
    accounts,
    cases,
    keyed,
    records_of,
)

if TYPE_CHECKING:
    from pathlib import Path

    from connectors.base.stream import Window
    from simulator.world import World
    from tests.connectors.bench import Bench, OnBench

KEY = b"k" * 32
FAKED = {"contact", "text", "url"}
PEOPLE = Stream(
    name="people",
    kind="entity",
    key=("ID",),
    fields=fields(
        "STAGE", ids=("ID",), phone=("PHONE",), email=("EMAIL",), name=("NAME",),
        text=("COMMENTS",), url=("URL",), business_number=("LINE",),
    ),
)  # fmt: skip


def record(
    bench: Bench, case: Case, folder: Path, fakes: Fakes
) -> tuple[list[dict[str, Any]], Window | None]:
    connector = bench.connector()
    window = bench.window(2) if case.stream.kind == "window" else None
    recording = Recording(connector, case.stream, fakes)
    connector.client.observer = recorder(recording.kept, 1 << 26)
    rows = bench.read(case.stream, window, connector=connector)
    recording.save(folder)
    return rows, window


def people(world: World) -> tuple[set[str], set[str], set[str]]:
    """Phones (ten digits), e-mails and names of everybody in the company."""
    phones = {p for each in world.persons for p in each.phones}
    phones |= {p for each in world.leads for p in each.phones}
    phones |= {call.caller_number for call in world.calls}
    emails = {m.lower() for each in world.persons for m in each.emails}
    emails |= {m.lower() for each in world.leads for m in each.emails}
    names = {
        name
        for each in [*world.persons, *world.contacts, *world.leads]
        for name in (each.last_name, f"{each.name} {each.last_name}".strip())
        if len(name) > 5 and (name != each.name or each.last_name)
    }
    digits = {re.sub(r"\D", "", phone)[-10:] for phone in phones}
    # the placeholder is nobody's, and is a number that fakes have, too
    digits -= {"9000000000", "9990000000", ""}
    return {d for d in digits if len(d) == 10}, emails, names


def connected(case: Case) -> bool:
    return registry.connector_class(case.source).needs_connection(
        accounts()[case.source]
    )


@pytest.mark.parametrize("case", filter(connected, cases()), ids=str)
def test_a_recorded_stream_is_read_as_the_real_one(
    case: Case, on_bench: OnBench, tmp_path: Path
) -> None:
    bench, fakes = on_bench(case.source), Fakes(KEY)
    try:
        rows, window = record(bench, case, tmp_path, fakes)
    except ParseError as error:
        reason = f"{case.source} answers with files, not with records: {error}"
        pytest.skip(reason)
    text = "\n".join(
        file.read_text("utf-8") for file in tmp_path.rglob("*.*") if file.is_file()
    )
    phones, emails, names = people(bench.world)
    found = {re.sub(r"\D", "", x)[-10:] for x in re.findall(r"[\d\s()+-]{10,}", text)}
    assert found & phones - fakes.phones == set()
    assert {
        m.lower() for m in re.findall(r"[\w.+-]+@[\w.-]+\w", text)
    } & emails == set()
    assert {name for name in names if name in text} == set()
    assert CANARY not in text
    played = Recorded.load(tmp_path, tmp_path / "index.yml")
    server = RunningServer(played, Options(now=bench.world.now))
    try:
        connection = bench.connection()
        object.__setattr__(connection, "base_url", f"{server.base_url}/{case.source}")
        connector = registry.build(
            bench.account, connection, tokens=LastingTokens(), sleep=bench.slept.append
        )
        again = records_of(connector.pages(case.stream, window, None))
    finally:
        server.stop()
    contacts = {f.name for f in case.stream.fields if f.field_class == "contact"}
    # an id that is made of what was typed is another one when that is another
    if contacts & set(case.stream.key) or case.stream.by_people:
        assert len(again) == len(rows)
    else:
        assert keyed(case.stream, again).keys() == keyed(case.stream, rows).keys()


# -- the scrubber --------------------------------------------------------------------------


def scrubbed(content: Any, fakes: Fakes | None = None) -> Any:
    scrubber = Scrubber([PEOPLE], fakes or Fakes(KEY))
    scrubber.add(PEOPLE)
    return json.loads(scrubber.body(json.dumps(content).encode()))


def test_the_same_person_is_the_same_fake_however_spelt() -> None:
    rows = [
        {
            "ID": "1",
            "PHONE": "+7 900 111-22-33",
            "NAME": "Анна",
            "EMAIL": "A@example.org",
        },
        {"ID": "2", "PHONE": "89001112233", "NAME": "анна", "EMAIL": "a@example.org"},
        {"ID": "3", "PHONE": "8 (900) 111-22-34", "NAME": "Яна", "EMAIL": ""},
    ]
    one, two, three = scrubbed({"result": rows})["result"]
    digits = [re.sub(r"\D", "", each["PHONE"])[-10:] for each in (one, two, three)]
    assert digits[0] == digits[1] != digits[2]
    assert re.fullmatch(r"\+7 900 000-00-\d\d", one["PHONE"])
    assert re.fullmatch(r"8 \(900\) 000-00-\d\d", three["PHONE"])
    assert (one["NAME"], one["EMAIL"]) == (two["NAME"], two["EMAIL"])
    assert one["NAME"] != three["NAME"]
    assert [each["ID"] for each in (one, two, three)] == ["1", "2", "3"]


def test_fakes_survive_from_one_recording_to_the_next() -> None:
    first = Fakes(KEY)
    first.phone("+79001110001")
    phone = first.phone("+79001110002")
    later = Fakes(KEY, json.loads(json.dumps(first.known)))
    assert later.phone("8 900 111 00 02")[-2:] == phone[-2:]
    assert "9001110002" not in json.dumps(first.known)
    other = Fakes(b"z" * 32, first.known)
    assert other.phone("+79001110002") != phone


def test_what_is_what() -> None:
    row = {
        "ID": "79001112233",
        "STAGE": "NEW",
        "PHONE": [{"VALUE": "+79001112233, 89001112234", "TYPE_ID": "WORK"}],
        "NAME": "Анна",
        "EMAIL": None,
        "COMMENTS": "звонить Анне на +7 900 111-22-33",
        "URL": "https://example.com/order?utm_source=ya&phone=79001112233&cid=ab12",
        "LINE": "74950000100",
        "NEWFIELD": "Анна Петровна",
        "NEWNUMBER": "12.50",
    }
    out = scrubbed({"rows": [row], "note": "ask a@example.org"})
    got = out["rows"][0]
    text = json.dumps(out, ensure_ascii=False)
    assert "Анн" not in text and "90011122" not in text.replace(row["ID"], "")
    assert out["note"].endswith("@example.com")
    assert (got["ID"], got["STAGE"], got["NEWNUMBER"]) == (row["ID"], "NEW", "12.50")
    assert got["EMAIL"] is None
    assert "utm_source=ya" in got["URL"]
    assert re.search(r"cid=[0-9a-f]{2}\d\d", got["URL"])
    assert got["LINE"] != row["LINE"]


def test_a_table_keeps_its_shape() -> None:
    body = (
        b"ID\tNAME\tPHONE\n1\t\xd0\x90\xd0\xbd\xd0\xbd\xd0\xb0\t79001112233\nTotal: 1\n"
    )
    scrubber = Scrubber([PEOPLE], Fakes(KEY))
    scrubber.add(PEOPLE)
    lines = scrubber.body(body).decode().split("\n")
    assert lines[0] == "ID\tNAME\tPHONE"
    assert lines[1].startswith("1\tИмя") and lines[1].endswith("\t79000000001")
    assert lines[2:] == ["Total: 1", ""]
    for wrong in (b"\x89PNG\xff", b"what is it"):
        with pytest.raises(ParseError):
            scrubber.body(wrong)


def test_a_contact_in_a_field_that_is_not_declared_as_one_keeps_nothing(
    on_bench: OnBench, tmp_path: Path
) -> None:
    case = next(c for c in cases() if str(c) == "bitrix24-contacts")
    bench = on_bench("bitrix24")

    def leak(row: Any) -> None:
        if isinstance(row, dict):
            if row.get("PHONE"):
                row["ADDRESS_COUNTRY_CODE"] = {"x": row.get("LAST_NAME")}
            for each in row.values():
                leak(each)
        elif isinstance(row, list):
            for each in row:
                leak(each)

    connector = bench.connector()
    recording = Recording(connector, case.stream, Fakes(KEY))
    connector.client.observer = recorder(recording.kept, 1 << 26)
    bench.read(case.stream, connector=connector)
    content = json.loads(recording.kept[-1].body)
    content["people_of_today"] = [
        {"surname": c.last_name} for c in bench.world.contacts if len(c.last_name) > 3
    ]
    object.__setattr__(recording.kept[-1], "body", json.dumps(content).encode())
    with pytest.raises(FatalError, match="nothing was kept"):
        recording.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_too_much_is_refused(on_bench: OnBench) -> None:
    bench = on_bench("bitrix24")
    connector = bench.connector()
    connector.client.observer = recorder([], 1000)
    with pytest.raises(FatalError, match="--days"):
        bench.read(connector.stream("leads"), connector=connector)


def test_a_second_recording_of_a_stream_takes_the_place_of_the_first(
    on_bench: OnBench, tmp_path: Path
) -> None:
    case = next(c for c in cases() if str(c) == "bitrix24-statuses")
    for _ in range(2):
        record(on_bench("bitrix24"), case, tmp_path, Fakes(KEY))
    entries = yaml.safe_load((tmp_path / "index.yml").read_text("utf-8"))
    assert {each["stream"] for each in entries} == {"statuses"}
    files = [each["file"] for each in entries]
    assert len(set(files)) == len(files)
