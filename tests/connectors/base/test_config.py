"""Wrong settings give one line that names the field and the fix, before any request."""

from __future__ import annotations

import json
import sys
from types import ModuleType, SimpleNamespace

import pytest
import yaml

from connectors.base import connection, registry, settings
from connectors.base.errors import ConfigError
from connectors.base.sources import load_sources

GOOD = {
    "reporting_time_zone": "Europe/Moscow",
    "sources": [
        {
            "source": "calltouch",
            "account": "main",
            "time_zone": "Asia/Yekaterinburg",
            "currency_code": "RUB",
            "vat_included": True,
            "settings": {"site_id": 7},
        }
    ],
}
VARIABLE = "AIRFLOW_CONN_THROUGHLINE_CALLTOUCH__MAIN"


@pytest.fixture(autouse=True)
def clean(monkeypatch):
    for name in (VARIABLE, "THROUGHLINE_DEMO", "AIRFLOW__SECRETS__BACKEND"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delitem(sys.modules, "airflow.sdk", raising=False)


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "sources.yml"
        text = content if isinstance(content, str) else yaml.safe_dump(content)
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def one_line(error) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def changed(**fields):
    account = {**GOOD["sources"][0], **fields}
    return {**GOOD, "sources": [{k: v for k, v in account.items() if v != "(gone)"}]}


def test_a_good_file_is_read(write):
    account = load_sources(write(GOOD)).get("calltouch")
    assert account.conn_id == "throughline_calltouch__main"
    assert (account.required, account.phone_region, account.history_days) == (
        True,
        "RU",
        None,
    )


def test_the_file_of_the_demo_is_good():
    sources = load_sources()
    assert {str(each) for each in sources.sources} == {
        "yandex_direct/main",
        "yandex_metrica/main",
        "calltouch/main",
        "bitrix24/main",
    }


@pytest.mark.parametrize(
    ("content", "field", "fix"),
    [
        (changed(source="caltouch"), "sources[0]", "write one of: "),
        (changed(time_zone="Europe/Moskow"), "time_zone", "Europe/Moscow"),
        (changed(time_zone="(gone)"), "time_zone", "is missing, add it"),
        (changed(vat_included="(gone)"), "vat_included", "is missing, add it"),
        (changed(vat_included="perhaps"), "vat_included", "boolean"),
        (changed(currency_code="rubles"), "currency_code", "such as RUB"),
        (changed(phone_region="Russia"), "phone_region", "such as RU"),
        (changed(account="Main office"), "account", "a-z, 0-9"),
        (changed(account="a__b"), "account", "single _"),
        (changed(history_days=0), "history_days", "greater than 0"),
        (changed(timezone="UTC"), "timezone", "check its spelling"),
        (changed(settings={}), "settings.site_id", "is missing, add it"),
        (changed(settings={"site_id": "x"}), "settings.site_id", "integer"),
        (changed(settings={"site_id": 1, "site": 2}), "settings.site:", "not a known"),
        ({**GOOD, "reporting_time_zone": "MSK"}, "reporting_time_zone", "IANA"),
        ({**GOOD, "sources": []}, "sources", "at least 1"),
        ({**GOOD, "sources": GOOD["sources"] * 2}, "sources[1]", "appears twice"),
        ({"sources": GOOD["sources"]}, "reporting_time_zone", "is missing"),
        ("", "sources.yml", "needs reporting_time_zone"),
        ("- a\n- b\n", "sources.yml", "needs reporting_time_zone"),
        ("a: [1", "sources.yml", "is not YAML"),
    ],
)
def test_a_bad_file_names_the_field_and_the_fix(write, content, field, fix):
    with pytest.raises(ConfigError) as caught:
        load_sources(write(content))
    text = one_line(caught)
    assert field in text
    assert fix in text


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(ConfigError, match="THROUGHLINE_SOURCES"):
        load_sources(tmp_path / "none.yml")


def test_choosing_an_account(write):
    two = changed()["sources"] + changed(account="other")["sources"]
    sources = load_sources(write({**GOOD, "sources": two}))
    assert sources.get("calltouch", "other").account == "other"
    for source, account, said in [
        ("calltouch", None, "main, other"),
        ("calltouch", "third", "no account 'third'"),
        ("bitrix24", None, "not in sources.yml"),
    ]:
        with pytest.raises(ConfigError, match=said):
            sources.get(source, account)


# -- connections -----------------------------------------------------------------------


@pytest.fixture
def build(write, vendor, monkeypatch, slept):
    """Build a connector; the vendor must not have been asked anything by then."""

    def make(conn=None, demo=True, **kwargs):
        if conn is not None:
            monkeypatch.setenv(
                VARIABLE, conn if isinstance(conn, str) else json.dumps(conn)
            )
        monkeypatch.setenv("THROUGHLINE_DEMO", "1" if demo else "0")
        account = load_sources(write(GOOD)).get("calltouch")
        try:
            return registry.build(account, sleep=slept.append, **kwargs)
        finally:
            assert vendor.seen == []

    return make


def test_a_connection_from_the_environment(build, vendor):
    connector = build({"host": vendor.base_url, "password": "secret-token-1"})
    assert connector.connection.password == "secret-token-1"
    assert "secret-token-1" not in repr(connector.connection)


def test_without_a_host_it_is_the_vendors_own(build):
    connector = build({"password": "secret-token-1"}, demo=False)
    assert connector.client._base_url == "https://api.calltouch.ru"


@pytest.mark.parametrize(
    ("conn", "said"),
    [
        (None, [VARIABLE, "add it in Airflow"]),
        ("http://:secret-token-1@api.calltouch.ru", [VARIABLE, "is not a JSON object"]),
        ("[1]", [VARIABLE, "is not a JSON object"]),
        ({"login": "me"}, ["field password is empty", "clientApiId"]),
        ({"password": "secret\ntoken-1"}, ["field password", "line break"]),
        ({"password": "secret-token-1", "extra": "{"}, ["field extra", "JSON"]),
        ({"password": "secret-token-1", "extra": [1]}, ["field extra", "JSON object"]),
        ({"password": "secret-token-1", "host": "ftp://x"}, ["field host"]),
        (
            {"password": "secret-token-1", "host": "https://me@x.example"},
            ["field host", "must not hold a login"],
        ),
        (
            {
                "password": "secret-token-1",
                "host": "https://u:secret-token-1@x.example",
            },
            ["field host", "must not hold a login"],
        ),
    ],
)
def test_a_bad_connection_names_the_field_and_the_fix(build, conn, said):
    with pytest.raises(ConfigError) as caught:
        build(conn)
    text = one_line(caught)
    assert "throughline_calltouch__main" in text.lower()
    for each in said:
        assert each in text
    assert "secret-token-1" not in text


@pytest.mark.parametrize(
    "host",
    [
        "http://127.0.0.1:8085/calltouch",
        "https://evil.example",
        "http://api.calltouch.ru",
        "https://api.calltouch.ru:8443",
        "https://api.calltouch.ru.evil.example",
        "https://api.calltouch.ru@evil.example",
    ],
)
def test_another_address_is_refused_outside_the_demo(build, host):
    with pytest.raises(ConfigError, match="field host"):
        build({"host": host, "password": "secret-token-1"}, demo=False)


@pytest.mark.parametrize(
    "host",
    ["api.calltouch.ru", "https://api.calltouch.ru/", "https://API.calltouch.ru"],
)
def test_the_vendors_own_address_is_always_good(build, host):
    build({"host": host, "password": "secret-token-1"}, demo=False)


def test_inside_a_task_airflow_is_asked(monkeypatch):
    class Missing(Exception):
        pass

    def get(name):
        if name != "throughline_calltouch__main":
            raise Missing
        return SimpleNamespace(
            host="api.calltouch.ru",
            schema="https",
            port=None,
            login=None,
            password="secret-token-1",
            extra='{"a": 1}',
        )

    sdk = ModuleType("airflow.sdk")
    sdk.Connection = SimpleNamespace(get=get)
    exceptions = ModuleType("airflow.exceptions")
    exceptions.AirflowNotFoundException = Missing
    monkeypatch.setitem(sys.modules, "airflow.sdk", sdk)
    monkeypatch.setitem(sys.modules, "airflow.exceptions", exceptions)
    found = connection.get("calltouch", "main")
    assert (found.base_url, found.password) == (
        "https://api.calltouch.ru",
        "secret-token-1",
    )
    with pytest.raises(ConfigError, match="there is no connection"):
        connection.get("calltouch", "other")


# -- the warehouse ---------------------------------------------------------------------


def test_dsn_quotes_what_it_is_given(monkeypatch):
    from psycopg.conninfo import conninfo_to_dict

    monkeypatch.setenv("THROUGHLINE_LOADER_PASSWORD", "it's a \\ secret")
    monkeypatch.setenv("THROUGHLINE_WAREHOUSE_DB", "my base")
    monkeypatch.setenv("THROUGHLINE_WAREHOUSE_PORT", "5544")
    parts = conninfo_to_dict(settings.dsn("loader"))
    assert parts["password"] == "it's a \\ secret"
    assert (parts["dbname"], parts["port"], parts["user"]) == (
        "my base",
        "5544",
        "loader",
    )


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("THROUGHLINE_LOADER_PASSWORD", "", "THROUGHLINE_LOADER_PASSWORD is not set"),
        ("THROUGHLINE_WAREHOUSE_PORT", "x", "THROUGHLINE_WAREHOUSE_PORT"),
    ],
)
def test_dsn_names_the_variable(monkeypatch, name, value, said):
    monkeypatch.setenv("THROUGHLINE_LOADER_PASSWORD", "password-1")
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=said):
        settings.dsn("loader")


def test_dsn_knows_its_roles():
    with pytest.raises(ConfigError, match="root"):
        settings.dsn("root")


@pytest.mark.parametrize("value", ["", "1:ab", "x:" + "0" * 64, "1:" + "g" * 64])
def test_a_wrong_token_key_is_named(monkeypatch, value):
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", value)
    with pytest.raises(ConfigError, match="THROUGHLINE_TOKEN_KEY"):
        settings.token_key()


def test_the_token_key(monkeypatch):
    monkeypatch.setenv("THROUGHLINE_TOKEN_KEY", "3:" + "0f" * 32)
    assert settings.token_key() == ("3", b"\x0f" * 32)


def test_accounts_of_one_role_need_names_of_their_own(write, monkeypatch):
    one = GOOD["sources"][0]
    crm = {**one, "source": "bitrix24", "settings": {}}
    load_sources(write({**GOOD, "sources": [one, crm]}))
    monkeypatch.setattr(registry.connector_class("bitrix24"), "role", "calls")
    with pytest.raises(
        ConfigError, match=r"bitrix24/main.*calltouch.*another name"
    ) as e:
        load_sources(write({**GOOD, "sources": [one, crm]}))
    assert "'main'" in one_line(e)
    load_sources(write({**GOOD, "sources": [one, {**crm, "account": "spb"}]}))


def test_every_connector_says_what_it_is_in_the_company():
    for name in registry.names():
        assert registry.connector_class(name).role in {
            "ads", "analytics", "calls", "crm", "sheet", "files",
        }  # fmt: skip
