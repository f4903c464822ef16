"""Tokens that run out are renewed once, and no page is lost or doubled by it."""

from __future__ import annotations

import json
import math
import threading
import time
from urllib.parse import parse_qs

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.base import oauth, redaction
from connectors.base.client import Answer, ApiClient, Auth, Limits
from connectors.base.connection import ConnectionInfo
from connectors.base.connector import Connector
from connectors.base.errors import ConfigError, FatalError, RetriableError
from connectors.base.oauth import Credentials, MemoryTokens, Token, TokenRequest
from connectors.base.sources import Account

ACCOUNT = Account(
    source="shop",
    account="main",
    time_zone="Europe/Moscow",
    currency_code="RUB",
    vat_included=False,
)
SECRET = "s3cret-refresh-8812"


class Shop(Connector):
    """A vendor whose access token comes for a refresh token."""

    name = "shop"
    role = "ads"
    base_url = "https://api.example.com"
    if_refused = "authorise again"
    streams = ()
    one_time = False

    @classmethod
    def token_request(cls, account, connection, refresh_token):
        return TokenRequest(
            "https://auth.example.com/oauth/token",
            form={
                "grant_type": "refresh_token",
                "client_id": "7",
                "refresh_token": refresh_token or connection.get("extra.refresh_token"),
            },
            one_time=cls.one_time,
        )

    def pages(self, stream, window, cursor):
        raise NotImplementedError

    def parse(self, stream, body, headers):
        raise NotImplementedError

    def check(self):
        raise NotImplementedError


class OneTime(Shop):
    one_time = True


class Kept(MemoryTokens):
    is_lasting = True


class Desk:
    """Answers of the vendor: tokens at /oauth/token, data for the last token given."""

    def __init__(self, reply) -> None:
        self.reply = reply
        self.given = 0
        self.asked: list[dict[str, str]] = []
        self.seconds: object = 3600
        self.refuse_renewal = False
        self.refuse_always = False
        self.rotates = False

    @property
    def token(self) -> str:
        return f"access-token-{self.given}"

    def __call__(self, seen):
        if seen.path.endswith("/oauth/token"):
            form = {k: v[0] for k, v in parse_qs(seen.body.decode()).items()}
            self.asked.append(form)
            if self.refuse_renewal:
                return self.reply(b'{"error": "invalid_grant"}', 400)
            self.given += 1
            content = {"access_token": self.token, "expires_in": self.seconds}
            if self.rotates:
                content["refresh_token"] = f"refresh-token-{self.given}"
            return self.reply(json.dumps(content).encode())
        right = seen.headers.get("authorization") == f"Bearer {self.token}"
        if not right or self.refuse_always or not self.given:
            return self.reply(b'{"error": "expired"}', 401)
        return self.reply(json.dumps({"page": seen.path}).encode())


@pytest.fixture
def desk(vendor, reply):
    made = Desk(reply)
    vendor.replies = [made]
    return made


@pytest.fixture
def client(vendor, slept):
    def make(connector=Shop, store=None, judge=None, **extra):
        connection = ConnectionInfo(
            "throughline_shop__main",
            base_url=vendor.base_url,
            extra={"refresh_token": SECRET, **extra},
        )
        credentials = Credentials(
            connector,
            ACCOUNT,
            connection,
            store or MemoryTokens(),
            is_own_address=False,
            sleep=slept.append,
        )
        return ApiClient(
            vendor.base_url,
            auth=credentials,
            name=str(ACCOUNT),
            judge=judge,
            if_refused="authorise again",
            limits=Limits(attempts=3),
            sleep=slept.append,
        )

    return make


def test_the_token_is_fetched_when_the_first_request_needs_it(desk, client, vendor):
    api = client()
    assert vendor.seen == []
    assert api.get("a").json() == {"page": "/api/a"}
    assert api.get("b").json() == {"page": "/api/b"}
    assert [each["refresh_token"] for each in desk.asked] == [SECRET]
    assert vendor.seen[0].path == "/api/oauth/token"
    assert vendor.seen[0].headers["content-type"].endswith("form-urlencoded")
    assert "authorization" not in vendor.seen[0].headers


def test_a_refused_token_is_renewed_and_that_request_repeated(desk, client, vendor):
    api = client()
    pages = [api.get("p1").json()]
    desk.given += 1  # the vendor forgets the token it gave
    pages += [api.get(name).json() for name in ("p2", "p3")]
    assert pages == [{"page": f"/api/p{n}"} for n in (1, 2, 3)]
    assert len(desk.asked) == 2
    assert [each.path for each in vendor.seen].count("/api/p2") == 2


def test_a_second_refusal_is_fatal(desk, client, vendor):
    api = client()
    desk.refuse_always = True
    with pytest.raises(FatalError, match="also with a renewed token; authorise again"):
        api.get("p1")
    assert [each.path for each in vendor.seen] == [
        "/api/oauth/token", "/api/p1", "/api/oauth/token", "/api/p1",
    ]  # fmt: skip


def test_a_refused_renewal_is_one_clear_error(desk, client, vendor):
    desk.refuse_renewal = True
    with pytest.raises(FatalError, match=r"invalid_grant.*authorise again") as caught:
        client().get("p1")
    assert "throughline_shop__main" in str(caught.value)
    assert len(vendor.seen) == 1


def test_a_server_that_is_down_is_asked_again_for_a_token(
    desk, client, vendor, reply, slept
):
    vendor.replies = [reply(status=503), desk]
    assert client().get("a").json() == {"page": "/api/a"}
    assert len(desk.asked) == 1 and slept
    vendor.replies = [reply(status=503)]
    vendor.seen.clear()
    with pytest.raises(RetriableError):
        client().get("a")
    assert len(vendor.seen) == 4, "its tries are not multiplied by the request's"


@pytest.mark.parametrize("seconds", [10, "10"])
def test_a_token_is_renewed_ahead_of_its_end(desk, client, monkeypatch, seconds):
    desk.seconds = seconds
    api = client()
    api.get("a")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 8.5)
    api.get("b")
    assert len(desk.asked) == 1
    monkeypatch.setattr(time, "time", lambda: now + 9.5)
    api.get("c")
    assert len(desk.asked) == 2


def test_the_last_refresh_token_is_used(desk, client):
    desk.rotates = True
    api = client()
    api.get("a")
    desk.given += 1
    api.get("b")
    assert [e["refresh_token"] for e in desk.asked] == [SECRET, "refresh-token-1"]
    desk.rotates = False
    desk.given += 1
    api.get("c")
    desk.given += 1
    api.get("d")
    # an answer without one leaves the old one
    assert [e["refresh_token"] for e in desk.asked[2:]] == ["refresh-token-3"] * 2


def test_clients_of_one_store_renew_once(desk, client):
    store = MemoryTokens()
    apis = [client(store=store) for _ in range(6)]
    apis[0].get("a")
    for api in apis:
        api.get("b")
    desk.given += 1
    threads = [threading.Thread(target=api.get, args=("c",)) for api in apis]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(desk.asked) == 2


def test_another_authorisation_voids_what_was_kept(desk, client):
    store = MemoryTokens()
    client(store=store).get("a")
    client(store=store, refresh_token="another-one-55").get("a")
    assert [e["refresh_token"] for e in desk.asked] == [SECRET, "another-one-55"]


def test_one_time_refresh_tokens_need_a_store_that_lasts(desk, client, vendor):
    with pytest.raises(ConfigError, match="THROUGHLINE_LOADER_PASSWORD"):
        client(OneTime).get("a")
    assert vendor.seen == []
    assert client(OneTime, Kept()).get("a").status == 200


def test_a_vendor_that_hides_it_in_an_answer(desk, client):
    said = iter([oauth.TokenExpired("code 190"), None])

    def judge(answer):
        return next(said)

    assert client(judge=judge).get("a").json() == {"page": "/api/a"}
    assert len(desk.asked) == 2


def test_without_renewal_an_expired_token_is_fatal(vendor, reply):
    vendor.replies = [reply(status=401)]
    api = ApiClient(vendor.base_url, auth=Auth(), if_refused="get another")
    with pytest.raises(FatalError, match=r"access was refused.*get another"):
        api.get("a")
    assert len(vendor.seen) == 1


def test_what_is_asked_when_the_first_way_is_refused(desk, client, vendor):
    class Two(Shop):
        @classmethod
        def token_request(cls, account, connection, refresh_token):
            url = "https://auth.example.com/oauth/token"
            fresh = TokenRequest(url, form={"grant_type": "client_credentials"})
            if refresh_token is None:
                return fresh
            desk.refuse_renewal = True
            return TokenRequest(url, form={"grant_type": "refresh"}, otherwise=fresh)

    desk.rotates = True
    api = client(Two)
    api.get("a")
    desk.given += 1
    with pytest.raises(FatalError):
        api.get("b")
    grants = [each["grant_type"] for each in desk.asked]
    assert grants == ["client_credentials", "refresh", "client_credentials"]


def test_no_secret_is_shown(desk, client, every_line):
    desk.rotates = True
    api = client()
    api.get("a")
    desk.refuse_renewal = True
    desk.given += 1
    with pytest.raises(FatalError) as caught:
        api.get("b")
    texts = [str(caught.value), repr(caught.value), repr(vars(api)), *every_line]
    texts += [repr(Token("access-token-1", refresh_token="refresh-token-1"))]
    hidden = (SECRET, "access-token-1", "refresh-token-1")
    assert [x for x in texts if any(secret in x for secret in hidden)] == []


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b'{"access_token": ""}', b'{"access_token": 5}', b"null"]
)
def test_an_answer_without_a_token_is_fatal(body):
    with pytest.raises(FatalError, match="no access_token"):
        oauth.standard_token(Answer(200, {}, body))


@pytest.mark.parametrize("given", [None, "soon", -5, "nan"])
def test_a_token_whose_end_nobody_knows_lasts(given):
    body = json.dumps({"access_token": "abcd", "expires_in": given}).encode()
    token = oauth.standard_token(Answer(200, {}, body))
    assert (token.expires_at, token.is_fresh()) == (math.inf, True)


# -- service accounts ------------------------------------------------------------------


@pytest.fixture(scope="module")
def key():
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()
    content = {
        "type": "service_account",
        "client_email": "robot@example.com",
        "private_key_id": "k1",
        "private_key": pem,
    }
    return content, made.public_key()


@pytest.mark.parametrize("as_text", [True, False])
def test_a_service_account_signs_its_request(key, as_text):
    content, public = key
    request = oauth.service_account_request(
        json.dumps(content) if as_text else content, "scope/a", subject="u@example.com"
    )
    assert request.url == "https://oauth2.googleapis.com/token"
    assert request.form["grant_type"].endswith("grant-type:jwt-bearer")
    claims = jwt.decode(
        request.form["assertion"],
        public,
        algorithms=["RS256"],
        audience="https://oauth2.googleapis.com/token",
    )
    assert (claims["iss"], claims["sub"]) == ("robot@example.com", "u@example.com")
    assert claims["scope"] == "scope/a"
    assert claims["exp"] - claims["iat"] == 3600
    header = jwt.get_unverified_header(request.form["assertion"])
    assert header["kid"] == "k1"
    line = content["private_key"].splitlines()[3]
    assert line not in redaction.mask(f"it is {line}")


@pytest.mark.parametrize(
    "bad",
    [
        "no json",
        "[]",
        {},
        {"client_email": "a@example.com"},
        {"client_email": "a@example.com", "private_key": "-----BEGIN PRIVATE KEY-----"},
    ],
)
def test_a_wrong_key_names_the_field(bad):
    with pytest.raises(ConfigError, match=r"extra\.service_account") as caught:
        oauth.service_account_request(bad, "scope")
    assert caught.value.__context__ is None
