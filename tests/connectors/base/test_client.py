"""The client: a whole answer or one of two errors, and no secret anywhere."""

from __future__ import annotations

import base64
import logging
import threading
import time
import traceback
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base import redaction
from connectors.base.client import (
    Answer,
    ApiClient,
    Auth,
    Limits,
    RateLimiter,
    line_blocks,
    parse_retry_after,
    retry_in,
)
from connectors.base.errors import ConfigError, FatalError, RetriableError

CANARY = "cAnArY+T0ken/with?odd&chars= and space"
TSV = {"Content-Type": "text/tab-separated-values"}
JSON_BODY = b'{"rows": [' + b",".join(b'{"n": %d}' % n for n in range(500)) + b"]}"
TSV_BODY = b"".join(b"2026-05-%02d\t%d\n" % (n % 28 + 1, n) for n in range(900))


@pytest.fixture
def client(vendor, slept):
    def make(**options):
        limits = options.pop("limits", Limits(attempts=4, read_timeout=5))
        options.setdefault("sleep", slept.append)
        return ApiClient(vendor.base_url, name="t/main", limits=limits, **options)

    return make


# -- retries ---------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 408, 420])
def test_a_passing_trouble_is_retried(vendor, reply, client, slept, status):
    vendor.replies = [reply(status=status), reply(status=status), reply(b'{"ok": 1}')]
    assert client().get("x").json() == {"ok": 1}
    assert len(vendor.seen) == 3
    assert len(slept) == 2
    assert slept[1] > slept[0] - 1  # grows, with up to a second of jitter


def test_tries_end(vendor, reply, client):
    vendor.replies = [reply(status=503, body=b'{"error": "busy"}')]
    with pytest.raises(RetriableError, match=r"503 .*busy.*gave up after 4 tries"):
        client().get("x")
    assert len(vendor.seen) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
def test_a_lasting_trouble_is_asked_once(vendor, reply, client, slept, status):
    vendor.replies = [reply(status=status, body=b'{"error": "no such site"}')]
    with pytest.raises(FatalError, match="no such site"):
        client().get("x")
    assert len(vendor.seen) == 1
    assert slept == []


def test_a_refused_token_says_what_to_do(vendor, reply, client):
    vendor.replies = [reply(status=401)]
    with pytest.raises(FatalError, match="issue another in the cabinet"):
        client(if_refused="issue another in the cabinet").get("x")
    assert len(vendor.seen) == 1


def test_retry_can_be_forbidden(vendor, reply, client):
    vendor.replies = [reply(status=503)]
    with pytest.raises(RetriableError):
        client().post("x", {}, retry=False)
    assert len(vendor.seen) == 1


def test_a_vendor_that_is_not_there(client, slept):
    lost = ApiClient(
        "http://127.0.0.1:9",
        name="t/main",
        limits=Limits(attempts=2),
        sleep=slept.append,
    )
    with pytest.raises(RetriableError, match=r"no answer from 127.0.0.1:9"):
        lost.get("x")
    assert len(slept) == 1


def test_a_vendor_that_falls_silent(vendor, reply, client):
    def silent(_):
        time.sleep(0.6)
        return reply()

    vendor.replies = [silent]
    with pytest.raises(RetriableError, match="in time"):
        client(limits=Limits(attempts=1, read_timeout=0.2)).get("x")


def test_a_body_that_trickles_has_an_end(vendor, reply, slept):
    ticks = iter(range(0, 100_000, 40))
    vendor.replies = [reply(TSV_BODY, headers=TSV, framing="chunked")]
    client = ApiClient(
        vendor.base_url,
        limits=Limits(attempts=1, body_seconds=60),
        sleep=slept.append,
        clock=lambda: next(ticks),
    )
    with pytest.raises(RetriableError, match="took over 60 s"):
        client.download("GET", "x")


# -- Retry-After -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        pytest.param("3", 3, 4, id="seconds"),
        pytest.param("0", 0, 1, id="none"),
        pytest.param("86400", 20, 21, id="capped"),
        pytest.param("999999999999999999999", 20, 21, id="absurdly big"),
        pytest.param("-5", 0, 1, id="negative"),
        pytest.param("soon", 1, 2, id="no number: as if absent"),
        pytest.param("nan", 1, 2, id="not a number"),
        pytest.param("", 1, 2, id="empty"),
        pytest.param("Wed, 21 Oct 2015 07:28:00 GMT", 0, 1, id="a date gone by"),
        pytest.param("Wed, 21 Oct 2215 07:28:00 GMT", 20, 21, id="a far date"),
        pytest.param(None, 1, 2, id="absent"),
    ],
)
def test_retry_after(vendor, reply, client, slept, value, least, most):
    headers = {} if value is None else {"Retry-After": value}
    vendor.replies = [reply(status=429, headers=headers), reply()]
    client(limits=Limits(attempts=2, retry_after_most=20)).get("x")
    assert least <= slept[0] <= most


def test_retry_after_as_a_date_soon(vendor, reply, client, slept):
    moment = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    vendor.replies = [reply(status=503, headers={"Retry-After": moment}), reply()]
    client().get("x")
    assert 8 <= slept[0] <= 11


def test_waiting_has_a_budget(vendor, reply, client, slept):
    vendor.replies = [reply(status=429, headers={"Retry-After": "30"})]
    with pytest.raises(RetriableError, match="gave up after 3 tries") as caught:
        client(limits=Limits(attempts=100, wait_budget=70)).get("x")
    assert sum(slept) <= 70
    assert caught.value.retry_after == 30


@given(st.one_of(st.none(), st.text(), st.floats().map(str), st.integers().map(str)))
def test_no_retry_after_breaks_us(value):
    seconds = parse_retry_after(value)
    assert seconds is None or 0 <= seconds < float("inf")


# -- whole bodies only -----------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked", "close", "honest"])
def test_a_whole_body_is_taken(vendor, reply, client, framing, zipped):
    vendor.replies = [reply(JSON_BODY, framing=framing, zipped=zipped)]
    assert len(client().get("x").json()["rows"]) == 500
    assert "gzip" in vendor.seen[0].headers["accept-encoding"]


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("framing", ["length", "chunked", "close", "honest"])
def test_a_cut_json_body_is_never_taken(vendor, reply, client, framing, zipped):
    vendor.replies = [
        reply(JSON_BODY, framing=framing, cut=20, zipped=zipped, drop_end=True),
        reply(JSON_BODY),
    ]
    assert len(client().get("x").json()["rows"]) == 500
    assert len(vendor.seen) == 2


@pytest.mark.parametrize(
    ("framing", "zipped"),
    [("length", False), ("chunked", False), ("close", False)]
    + [(framing, True) for framing in ("length", "chunked", "close", "honest")],
)
def test_a_cut_download_is_never_taken(vendor, reply, client, framing, zipped):
    # `close` without gzip is refused because it declares no length at all.
    vendor.replies = [
        reply(
            TSV_BODY, headers=TSV, framing=framing, cut=30, zipped=zipped, drop_end=True
        ),
    ]
    with pytest.raises(RetriableError, match="cut"):
        client().download("GET", "x")
    vendor.replies.append(reply(TSV_BODY, headers=TSV))
    with client().download("GET", "x") as whole:
        assert b"".join(whole.blocks()) == TSV_BODY


def test_only_the_closing_chunk_missing_is_a_cut(vendor, reply, client):
    vendor.replies = [
        reply(TSV_BODY, headers=TSV, framing="chunked", drop_end=True),
        reply(TSV_BODY, headers=TSV, framing="chunked"),
    ]
    with client().download("GET", "x") as whole:
        assert b"".join(whole.blocks()) == TSV_BODY
    assert len(vendor.seen) == 2


def test_a_body_without_length_may_be_taken_by_who_proves_its_end(
    vendor, reply, client
):
    vendor.replies = [reply(TSV_BODY, headers=TSV, framing="close")]
    with client().download("GET", "x", allow_unframed=True) as whole:
        assert not whole.framed
        assert b"".join(whole.blocks()) == TSV_BODY


def test_an_empty_body_is_no_json(vendor, reply, client):
    vendor.replies = [reply(b"")]
    with pytest.raises(RetriableError, match="empty"):
        client().get("x")


@pytest.mark.parametrize("zipped", [False, True])
def test_a_body_over_the_limit_is_refused(vendor, reply, client, zipped):
    vendor.replies = [reply(b'"' + b"x" * 3_000_000 + b'"', zipped=zipped)]
    with pytest.raises(FatalError, match="over 1000000 bytes"):
        client(limits=Limits(most_bytes=1_000_000)).get("x")


@given(st.lists(st.binary(max_size=12).map(lambda b: b.replace(b"a", b"\n"))))
def test_line_blocks_lose_nothing_and_end_lines(blocks):
    whole = [block for block in line_blocks(iter(blocks)) if block]
    assert b"".join(whole) == b"".join(blocks)
    assert all(block.endswith(b"\n") for block in whole[:-1])


def test_a_big_download_leaves_memory_flat(vendor, reply, client):
    import tracemalloc

    vendor.replies = [reply(b"1\t2\n" * 5_000_000, headers=TSV, framing="length")]
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with client().download("GET", "x") as whole:
            size = sum(map(len, whole.line_blocks()))
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    assert size == 20_000_000
    # the server's copies are in this process too: it holds the one body it was given
    assert peak < 8_000_000


# -- not what was asked for ------------------------------------------------------------

PAGE = b"<!DOCTYPE html><html><body>Help</body></html>"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html; charset=utf-8", PAGE),
        ("application/json", PAGE),
        ("text/html", b"we are back soon"),
    ],
)
def test_a_page_is_no_json(vendor, reply, client, kind, body):
    vendor.replies = [reply(body, headers={"Content-Type": kind})]
    with pytest.raises(FatalError, match=r"where JSON was expected.*check the address"):
        client().get("x")
    assert len(vendor.seen) == 1


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", PAGE),
        ("text/html", b"we are back soon"),
        ("text/tab-separated-values", b"\n " + PAGE),
        ("application/json", b'{"error": {"error_code": 53}}'),
    ],
)
def test_a_page_or_an_error_is_no_tsv(vendor, reply, client, kind, body):
    vendor.replies = [reply(body, headers={"Content-Type": kind})]
    with pytest.raises(FatalError, match="TSV was expected"):
        client().download("GET", "x")
    assert len(vendor.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(vendor, reply, client, status):
    vendor.replies = [
        reply(status=status, headers={"Location": f"{vendor.base_url}/y?t={CANARY}"})
    ]
    with pytest.raises(FatalError, match="redirected") as caught:
        client().get("x")
    assert len(vendor.seen) == 1
    assert CANARY not in str(caught.value)


def test_an_error_inside_200_is_judged(vendor, reply, client):
    def judge(answer: Answer):
        error = (answer.json_or_none() or {}).get("error")
        if error == "LIMIT":
            return RetriableError("slow down")
        return FatalError(f"said {error}") if error else None

    vendor.replies = [reply(b'{"error": "LIMIT"}'), reply(b'{"result": 1}')]
    assert client(judge=judge).get("x").json() == {"result": 1}
    vendor.replies = [reply(b'{"error": "NO_SUCH_METHOD"}')]
    with pytest.raises(FatalError, match="said NO_SUCH_METHOD"):
        client(judge=judge).get("x")


def test_judge_overrules_the_status(vendor, reply, client, slept):
    vendor.replies = [reply(status=400, body=b'{"e": "again"}'), reply(b"[]")]
    seen = client(judge=lambda a: RetriableError("x") if a.status == 400 else None)
    assert seen.get("x").json() == []


# -- polling ---------------------------------------------------------------------------


def test_a_report_is_polled_until_it_is_there(vendor, reply, client, slept):
    vendor.replies = [
        reply(b"", status=201, headers={"retryIn": "7"}),
        reply(b"", status=202, headers={"RETRYIN": "500"}),
        reply(TSV_BODY, headers=TSV),
    ]
    api = client()
    with api.poll(
        lambda: api.download("POST", "reports", json={"a": 1}),
        lambda got: None if got.status == 200 else retry_in(got.headers),
    ) as report:
        assert b"".join(report.blocks()) == TSV_BODY
    assert slept == [7, 60]
    assert {seen.body for seen in vendor.seen} == {b'{"a":1}'}


def test_polling_has_a_budget(vendor, reply, client, slept):
    vendor.replies = [reply(b'{"status": "created"}')]
    api = client()
    with pytest.raises(RetriableError, match="visits is not ready after 100 s"):
        api.poll(lambda: api.get("x"), lambda _: 20.0, what="visits", budget=110)
    assert sum(slept) == 100


# -- limits ----------------------------------------------------------------------------


def test_the_rate_is_held():
    now, waits = [0.0], []

    def sleep(seconds):
        waits.append(seconds)
        now[0] += seconds

    limiter = RateLimiter(5, 1, 1, sleep, lambda: now[0])
    for _ in range(11):
        with limiter:
            pass
    assert now[0] == pytest.approx(2.0)


def test_a_burst_is_allowed_then_the_rate_is_held():
    now = [0.0]
    limiter = RateLimiter(
        2, 50, 1, lambda s: now.__setitem__(0, now[0] + s), lambda: now[0]
    )
    for _ in range(50):
        with limiter:
            pass
    assert now[0] == 0
    for _ in range(10):
        with limiter:
            pass
    assert now[0] == pytest.approx(5.0)


def test_no_more_at_a_time_than_allowed():
    limiter = RateLimiter(None, 1, 2)
    inside, most, lock = [0], [0], threading.Lock()

    def work():
        with limiter:
            with lock:
                inside[0] += 1
                most[0] = max(most[0], inside[0])
            time.sleep(0.02)
            with lock:
                inside[0] -= 1

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most[0] == 2


# -- secrets ---------------------------------------------------------------------------


def spellings(secret: str) -> list[str]:
    return [
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
    ]


def everything_of(error: BaseException) -> str:
    """All that a log could show of an exception, its causes and contexts too."""
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)
    for inner in (error.__cause__, error.__context__):
        if inner is not None:
            text += everything_of(inner)
    return text


SPOILERS = {
    "refused": {"status": 401},
    "busy": {"status": 503},
    "redirect": {"status": 302, "headers": {"Location": f"/login?t={CANARY}"}},
    "page": {"body": PAGE, "headers": {"Content-Type": "text/html"}},
    "echo": {"status": 400, "body": f'{{"error": "bad token {CANARY}"}}'.encode()},
    "no json": {"body": f"token={quote_plus(CANARY)}".encode()},
    "cut": {"body": JSON_BODY, "cut": 10},
    "closed": {"body": b"", "framing": "close", "drop_end": True},
}


@pytest.mark.parametrize("where", ["params", "headers", "path"])
@pytest.mark.parametrize("trouble", [*SPOILERS, "not there"])
def test_a_secret_shows_nowhere(vendor, reply, every_line, slept, trouble, where):
    secret = "cAnArY9f8e7d6c5b4a" if where == "path" else CANARY
    redaction.register(secret)
    auth = {
        "params": Auth(params={"clientApiId": secret}),
        "headers": Auth(headers={"Authorization": f"Bearer {secret}"}),
        "path": Auth(path=f"rest/1/{secret}"),
    }[where]
    base_url = vendor.base_url
    if trouble == "not there":
        base_url = "http://127.0.0.1:9"
    else:
        vendor.replies = [reply(**SPOILERS[trouble])]
    client = ApiClient(
        base_url, auth=auth, limits=Limits(attempts=2), sleep=slept.append
    )
    with pytest.raises((FatalError, RetriableError)) as caught:
        client.get("x")
    logging.getLogger("somebody").exception("oh", exc_info=caught.value)
    shown = everything_of(caught.value) + "\n".join(every_line)
    for spelling in spellings(secret):
        assert spelling not in shown
    if trouble != "not there":
        # it did go over the wire, and urllib3 logged the URL it went to
        assert any("GET" in line and "/api/" in line for line in every_line)
        sent = vendor.seen[0]
        assert secret in str((sent.query, sent.headers, sent.path))


def test_a_secret_in_a_foreign_traceback_is_masked(every_line):
    redaction.register(CANARY)
    try:
        raise ValueError(f"cannot parse {CANARY}")
    except ValueError:
        logging.getLogger("library").exception("failed with %s", quote_plus(CANARY))
    text = "\n".join(every_line)
    assert "ValueError: cannot parse ***" in text
    assert "failed with ***" in text
    assert CANARY not in text


def test_a_secret_learnt_after_the_error_is_masked_too():
    error = FatalError("refused: late-secret-778899")
    redaction.register("late-secret-778899")
    assert str(error) == "refused: ***"


def test_an_answer_in_an_error_text_shows_no_person(vendor, reply, client):
    vendor.replies = [
        reply(
            status=400,
            body=b'{"error": "caller +7 (900) 000-12-34, ivan@example.com"}',
        )
    ]
    with pytest.raises(FatalError) as caught:
        client().get("x")
    assert "000-12" not in str(caught.value)
    assert "ivan@" not in str(caught.value)


def test_netrc_never_signs_a_request(vendor, tmp_path, monkeypatch, client):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login me password netrc-secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    api = client()
    api._session.trust_env = True  # as for any host that is not loopback
    api.get("x")
    assert "authorization" not in vendor.seen[0].headers


def test_an_address_that_is_none_is_refused_before_any_request():
    with pytest.raises(ConfigError, match="no http"):
        ApiClient("ftp://example.com")
