"""Whatever a vendor sends, a parser gives records or its own error, and no row is lost.

`make fuzz` tries 20,000 answers per stream; `make test` some.
"""

from __future__ import annotations

import copy
import json
import os
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.__main__ import offline
from connectors.base.batch import JsonBatch
from connectors.base.errors import ConnectorError, ParseError
from connectors.base.lanes import Shaper
from connectors.base.pseudonymise import Pseudonymiser, Tokeniser
from tests.connectors.bench import Case, accounts, cases, give_back, take, truth

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES = int(os.environ.get("THROUGHLINE_FUZZ_EXAMPLES", "20"))

every_stream = pytest.mark.parametrize("case", cases(), ids=str)
many = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)

odd_text = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        ["", " ", "--", "NaN", "1e999", "-0", "\0", "\ud83d", "2026-13-45", "9" * 25]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    odd_text.filter(lambda text: text != "\ud83d"),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(odd_text, inner, max_size=3)
    ),
    max_leaves=6,
)


@cache
def bodies(case: Case) -> tuple[bytes, ...]:
    """Answers of the stream that hold records: the smallest ones."""
    bench = take(case.source, page_size=3)
    connector = bench.connector()
    window = bench.window(1) if case.stream.kind == "window" else None
    bench.read(case.stream, window, connector=connector)
    found = []
    for answer in bench.face.answers:
        try:
            if connector.parse(case.stream, answer.body, answer.headers):
                found.append(answer.body)
        except ConnectorError:
            continue
    give_back(bench)
    return tuple(sorted(set(found), key=len)[:4])


def places(content: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key or index) of a JSON value."""
    if isinstance(content, dict | list):
        items = content.items() if isinstance(content, dict) else enumerate(content)
        for key, value in list(items):
            yield content, key
            yield from places(value)


@st.composite
def spoiled(draw: st.DrawFn, case: Case) -> bytes:
    """A true answer with something wrong in it; now and then, anything at all."""
    kind = draw(st.sampled_from(["value", "value", "bytes", "json", "anything"]))
    if kind == "json":
        return json.dumps(draw(values)).encode("utf-8", "replace")
    if kind == "anything":
        return draw(st.binary(max_size=60))
    body = draw(st.sampled_from(bodies(case)))
    try:
        content = json.loads(body) if kind == "value" else None
    except ValueError:
        content = None
    if content is None:
        return _cut(draw, body)
    for _ in range(draw(st.integers(1, 3))):
        found = list(places(content))
        if not found:
            break
        holder, key = found[draw(st.integers(0, len(found) - 1))]
        how = draw(st.sampled_from(["other", "gone", "twice"]))
        if how == "gone":
            del holder[key]
        elif how == "twice" and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        else:
            holder[key] = draw(values)
    return json.dumps(content).encode("utf-8", "replace")


def _cut(draw: st.DrawFn, body: bytes) -> bytes:
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(start + 40, len(body))))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


@every_stream
def test_a_spoiled_answer_is_records_or_a_parse_error(case: Case) -> None:
    account = accounts()[case.source]
    connector = offline(account)
    assert bodies(case)
    tokeniser = Tokeniser("1", b"k" * 32, account.phone_region)

    @many
    @given(st.data())
    def check(data: st.DataObject) -> None:
        body = data.draw(spoiled(case))
        try:
            rows = connector.parse(case.stream, body, {})
        except ParseError:
            return
        assert isinstance(rows, list)
        shaper = Shaper(
            case.stream,
            Pseudonymiser(case.stream, tokeniser),
            account.time_zone,
            window=None,
        )
        pieces = list(shaper.pieces(JsonBatch(rows)))
        landed = sum(len(piece.lines) for piece in pieces)
        assert landed + len(shaper.dead) == len(rows) == shaper.rows_read
        assert len(shaper.dead) == shaper.rows_dead

    check()


@every_stream
def test_spoiled_records_are_landed_or_dead_letters(case: Case) -> None:
    """Past the parser: any value in any field, any field missing or new."""
    account = accounts()[case.source]
    tokeniser = Tokeniser("1", b"k" * 32, account.phone_region)
    known = truth(case).rows[:3]

    @many
    @given(st.data())
    def check(data: st.DataObject) -> None:
        rows = [copy.deepcopy(dict(row)) for row in known]
        for row in rows:
            for name in data.draw(st.lists(st.sampled_from(sorted(row)), max_size=4)):
                if data.draw(st.booleans()):
                    row[name] = data.draw(values)
                else:
                    row.pop(name, None)
            row |= data.draw(st.dictionaries(odd_text, values, max_size=1))
        shaper = Shaper(
            case.stream,
            Pseudonymiser(case.stream, tokeniser),
            account.time_zone,
            window=None,
        )
        pieces = list(shaper.pieces(JsonBatch(rows)))
        landed = [line for piece in pieces for line in piece.lines]
        assert len(landed) + len(shaper.dead) == len(rows)
        for line in landed:
            assert b"\n" not in line and line.count(b"\t") == 3

    check()
