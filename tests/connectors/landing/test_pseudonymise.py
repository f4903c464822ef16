"""Tokens in place of contacts: what is found, what is left alone, what is told."""

from __future__ import annotations

import base64
import hashlib
import hmac

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.base.errors import ConfigError
from connectors.base.pseudonymise import (
    MOST_WORDS,
    Pseudonymiser,
    Tokeniser,
    normal_email,
)
from connectors.base.stream import Field, Stream, fields

KEY = bytes(range(32))


@pytest.fixture
def tokens() -> Tokeniser:
    return Tokeniser("1", KEY)


def phone(number: str) -> str:
    return Tokeniser("1", KEY).token("phone", number)


def email(address: str) -> str:
    return Tokeniser("1", KEY).token("email", address)


def name(words: str) -> str:
    return Tokeniser("1", KEY).token("name", words)


def stream(*some: Field) -> Stream:
    return Stream("s", "snapshot", ("id",), (Field("id", "id"), *some))


def clean(tokens: Tokeniser, some: tuple[Field, ...], **record: object) -> tuple:
    """(the record that lands, what is sealed)."""
    return Pseudonymiser(stream(*some), tokens).record({"id": "1", **record})


# -- tokens ----------------------------------------------------------------------------


def test_a_token_is_base32_of_the_hmac(tokens: Tokeniser) -> None:
    digest = hmac.new(KEY, b"phone:+79000000001", hashlib.sha256).digest()
    letters = base64.b32encode(digest).decode()[:26].lower()
    assert tokens.token("phone", "+79000000001") == f"ph1_{letters}"


def test_another_key_gives_other_tokens() -> None:
    assert Tokeniser("2", b"x" * 32).token("phone", "+79000000001") != phone(
        "+79000000001"
    )


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigError, match="16 bytes"):
        Tokeniser("1", b"short")


# -- phones ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "number"),
    [
        ("8-900-000-12-34", "+79000001234"),
        ("+7 (900) 000-12-34", "+79000001234"),
        ("8 (900) 0001234", "+79000001234"),
        ("79000001234", "+79000001234"),
        ("89000001234", "+79000001234"),
        ("9000001234", "+79000001234"),
        ("tel:+7-900-000-12-34", "+79000001234"),
        ("７９０００００１２３４", "+79000001234"),
        ("8900 000 12 34 Мария", "+79000001234"),
        ("+7 900 000 12 34 доб. 123", "+79000001234"),
        ("sip:79000001234@203.0.113.7", "+79000001234"),
        ("4951234567", "+74951234567"),
        ("8(800)555-01-02", "+78005550102"),
        ("810375291234567", "+375291234567"),
        ("+375 29 123-45-67", "+375291234567"),
        ("375291234567", "+375291234567"),  # foreign, without its plus
        ("442037691880", "+442037691880"),
        ("77011234567", "+77011234567"),
        ("1234567", None),
        ("101", None),
        ("+79123", None),
        ("+7 900 000 12 3", None),
        ("+7 000 000 00 00", None),
        ("7 7071215 00", None),
        ("anonymous", None),
        ("0", None),
    ],
)
def test_phones_as_people_type_them(
    tokens: Tokeniser, typed: str, number: str | None
) -> None:
    assert tokens.phones(typed) == ((phone(number),) if number else ())


def test_two_phones_in_a_cell_are_two_tokens(tokens: Tokeniser) -> None:
    both = (phone("+79000001234"), phone("+79000005678"))
    assert tokens.phones("79000001234, 89000005678") == both
    assert tokens.phones("тел 8(900)000-12-34 и 8 900 000-56-78") == both


@given(
    start=st.sampled_from(["+7", "7", "8", "", "+7 ", "8 "]),
    digits=st.from_regex(r"\A9(300)?[0-9]{9}\Z").map(lambda digits: digits[:10]),
    gaps=st.tuples(*[st.sampled_from(["", " ", "-", "."])] * 4),
    brackets=st.booleans(),
)
def test_the_shortcut_says_what_libphonenumber_says(
    start: str, digits: str, gaps: tuple[str, ...], brackets: bool
) -> None:
    code = f"({digits[:3]})" if brackets else digits[:3]
    parts = (start, code, digits[3:6], digits[6:8], digits[8:])
    typed = "".join(part + gap for part, gap in zip(parts, ("", *gaps), strict=True))
    parsed = phonenumbers.parse(typed, "RU")
    tokens = Tokeniser("1", KEY)
    if not phonenumbers.is_valid_number(parsed):
        assert tokens.phones(typed) == ()
        return
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    assert tokens.phones(typed) == (phone(number),)
    ((fact,), _) = tokens.drain()
    assert (fact.number_type, fact.country) == (
        "mobile",
        phonenumbers.region_code_for_number(parsed),
    )


def test_the_region_decides_how_a_bare_number_is_read() -> None:
    assert Tokeniser("1", KEY, "BY").phones("80291234567") == (phone("+375291234567"),)


# -- what the rest may know ----------------------------------------------------------------


def test_facts_of_a_phone(tokens: Tokeniser) -> None:
    tokens.phones("8 900 000-12-57")
    (fact,), spellings = tokens.drain()
    assert (fact.value, fact.masked) == ("+79000001257", "+7***57")
    assert (fact.number_type, fact.country, fact.is_placeholder) == (
        "mobile",
        "RU",
        False,
    )
    assert spellings == [(fact.token, "8 900 000-12-57")]
    assert tokens.drain() == ([], [])


@pytest.mark.parametrize("typed", ["+7 900 000-00-00", "89111111111", "79001234567"])
def test_placeholder_phones_are_told(tokens: Tokeniser, typed: str) -> None:
    tokens.phones(typed)
    assert tokens.drain()[0][0].is_placeholder


@pytest.mark.parametrize(
    ("address", "mailbox", "placeholder"),
    [
        ("i.petrov@gmail.com", "free", False),
        ("petrov@example.com", "corporate", False),
        ("info@example.com", "role", False),
        ("noreply@example.com", "shared", False),
        ("test@example.com", "corporate", True),
    ],
)
def test_facts_of_an_email(
    tokens: Tokeniser, address: str, mailbox: str, placeholder: bool
) -> None:
    tokens.emails(address)
    ((fact,), _) = tokens.drain()
    assert (fact.mailbox_class, fact.is_placeholder) == (mailbox, placeholder)
    assert fact.masked == f"{address[0]}***@{address.partition('@')[2]}"


def test_our_own_lines_are_facts_and_stay_clear(tokens: Tokeniser) -> None:
    line = (Field("line", "business_number"),)
    record, sealed = clean(tokens, line, line="sip:74951234567@203.0.113.7")
    assert record["line"] == "sip:74951234567@203.0.113.7"
    assert sealed == []
    (fact,), spellings = tokens.drain()
    assert (fact.token, fact.is_own_number) == (phone("+74951234567"), True)
    assert (fact.value, spellings) == ("", [])


# -- e-mails and names ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        (" Ivan.Petrov@Example.COM, ", "ivan.petrov@example.com"),
        ("ivan.petrov+shop@ya.ru", "ivan-petrov@yandex.ru"),
        ("i.v.a.n+x@googlemail.com", "ivan@gmail.com"),
        ("Ivan+x@example.com", "ivan+x@example.com"),
        ("почта@пример.рф", "почта@xn--e1afmkfd.xn--p1ai"),
    ],
)
def test_emails_are_known_by_their_mailbox(typed: str, address: str) -> None:
    assert normal_email(typed) == address
    assert Tokeniser("1", KEY).emails(typed) == (email(address),)


@pytest.mark.parametrize("typed", ["Пётр Иванов", " иванов  ПЕТР ", "Иванов, Петр"])
def test_names_are_sorted_words_without_yo(tokens: Tokeniser, typed: str) -> None:
    assert tokens.name(typed) == name("иванов петр")
    (fact,), _ = tokens.drain()
    assert fact.masked == "И. П."
    words = sorted(tokens.token("word", word) for word in ("иванов", "петр"))
    assert fact.words == tuple(words)
    assert all(word.startswith("wd1_") for word in words)


def test_a_word_of_a_name_has_a_token_of_its_own(tokens: Tokeniser) -> None:
    tokens.name("Иван")
    tokens.name("Иванова")
    tokens.name(" ".join(f"слово{'а' * n}" for n in range(40)))
    short, other, long = tokens.drain()[0]
    assert short.words[0][4:] != short.token[4:]
    assert not set(short.words) & set(other.words)
    assert len(long.words) == MOST_WORDS


# -- field classes -------------------------------------------------------------------------


def test_contacts_become_tokens(tokens: Tokeniser) -> None:
    some = fields(phone=("p",), email=("e",), name=("n",))
    record, sealed = clean(
        tokens, some, p="8 900 000-12-34", e="A@example.com", n="Анна"
    )
    assert record == {
        "id": "1",
        "p": phone("+79000001234"),
        "e": email("a@example.com"),
        "n": name("анна"),
    }
    assert sealed == []


def test_a_cell_with_two_phones_becomes_a_list(tokens: Tokeniser) -> None:
    record, _ = clean(tokens, fields(phone=("p",)), p="79000001234; 79000005678")
    assert record["p"] == [phone("+79000001234"), phone("+79000005678")]


def test_an_email_typed_where_a_phone_belongs_is_still_found(tokens: Tokeniser) -> None:
    record, sealed = clean(tokens, fields(phone=("p",)), p="a@example.com")
    assert (record["p"], sealed) == (email("a@example.com"), [])


@pytest.mark.parametrize("typed", ["anonymous", "101", "+79123", 12])
def test_what_cannot_be_read_is_null_and_sealed(
    tokens: Tokeniser, typed: object
) -> None:
    record, sealed = clean(tokens, fields(phone=("p",)), p=typed)
    assert (record["p"], sealed) == (None, [("p", typed)])


@pytest.mark.parametrize("empty", ["", "  ", None])
def test_nothing_is_nothing(tokens: Tokeniser, empty: object) -> None:
    record, sealed = clean(tokens, fields(phone=("p",)), p=empty)
    assert (record["p"], sealed) == (empty, [])


def test_contacts_inside_lists_of_values(tokens: Tokeniser) -> None:
    typed = [
        {
            "ID": "7",
            "VALUE_TYPE": "WORK",
            "VALUE": "8 900 000-12-34",
            "TYPE_ID": "PHONE",
        },
        {"ID": "8", "VALUE_TYPE": "HOME", "VALUE": "79000001234 / 79000005678"},
        {"ID": "9", "VALUE": "101"},
    ]
    record, sealed = clean(tokens, fields(phone=("PHONE",)), PHONE=typed)
    one, two = phone("+79000001234"), phone("+79000005678")
    assert record["PHONE"] == [
        {"ID": "7", "VALUE_TYPE": "WORK", "VALUE": one, "TYPE_ID": "PHONE"},
        {"ID": "8", "VALUE_TYPE": "HOME", "VALUE": [one, two]},
        {"ID": "9", "VALUE": None},
    ]
    assert sealed == [("PHONE", typed)]


def test_a_name_in_parts_makes_one_token(tokens: Tokeniser) -> None:
    parts = fields(name=("NAME", "LAST_NAME", "SECOND_NAME"))
    record, _ = clean(tokens, parts, NAME="Пётр", LAST_NAME="Иванов", SECOND_NAME=None)
    assert record["_name_token"] == name("иванов петр")
    assert record["NAME"] == name("петр")
    nobody, _ = clean(tokens, parts, NAME="", LAST_NAME=None, SECOND_NAME="")
    assert nobody["_name_token"] is None


def test_text_loses_its_phones_and_emails_in_place(tokens: Tokeniser) -> None:
    typed = (
        "Звонить 8(900)000-12-34 или тел89000005678, +375 29 123-45-67; "
        "писать Anna@example.com. Заказ 123456 на 25000 руб, id 1710142605.37793"
    )
    assert tokens.text(typed) == (
        f"Звонить {phone('+79000001234')} или тел{phone('+79000005678')}, "
        f"{phone('+375291234567')}; писать {email('anna@example.com')}. "
        "Заказ 123456 на 25000 руб, id 1710142605.37793"
    )


def test_text_is_found_at_any_depth(tokens: Tokeniser) -> None:
    said = [
        {"channel": 1, "message": "мой номер 89000001234"},
        ["a@example.com", 5, None],
    ]
    record, _ = clean(tokens, fields(text=("t",)), t=said)
    assert record["t"] == [
        {"channel": 1, "message": f"мой номер {phone('+79000001234')}"},
        [email("a@example.com"), 5, None],
    ]
    assert said[0]["message"] == "мой номер 89000001234", (
        "the vendor's own is not touched"
    )


@pytest.mark.parametrize(
    ("address", "cleaned"),
    [
        (
            "https://shop.example/?utm_source=ya&phone=%2B7%20900%20000-12-34&x=1",
            f"https://shop.example/?utm_source=ya&phone={phone('+79000001234')}&x=1",
        ),
        (
            "https://shop.example/?tel=+79000001234#your-email=A%40example.com",
            f"https://shop.example/?tel={phone('+79000001234')}"
            f"#your-email={email('a@example.com')}",
        ),
        (
            "https://a.example/go?to=https%3A%2F%2Fb.example%2F%3Fphone%3D89000001234%26z%3D1",
            "https://a.example/go?to=https%3A%2F%2Fb.example%2F%3Fphone%3D"
            f"{phone('+79000001234')}%26z%3D1",
        ),
        (
            "https://shop.example/?form[name]=%D0%90%D0%BD%D0%BD%D0%B0&login=a%40example.com",
            f"https://shop.example/?form[name]={name('анна')}"
            f"&login={email('a@example.com')}",
        ),
        ("https://shop.example/?phone=123456", "https://shop.example/?phone=***"),
        ("tel:+79000001234", phone("+79000001234")),
    ],
)
def test_personal_parameters_of_a_url(
    tokens: Tokeniser, address: str, cleaned: str
) -> None:
    assert tokens.url(address) == cleaned


@pytest.mark.parametrize(
    "address",
    [
        "https://shop.example/?yclid=2418476499884310527&campaign_name=sale&phone=",
        "https://shop.example/p/79000001234?gclid=89000001234&block=9000001234",
        "https://t.me/@channel?utm_content=gb:5200000001_ad:89000001234",
    ],
)
def test_ordinary_ad_links_are_left_alone(tokens: Tokeniser, address: str) -> None:
    assert tokens.url(address) == address
    assert tokens.drain() == ([], [])


def test_ids_and_plain_fields_are_never_scanned(tokens: Tokeniser) -> None:
    some = fields("plain", ids=("big",))
    record, _ = clean(tokens, some, plain="89000001234", big="89000001234")
    assert (record["plain"], record["big"]) == ("89000001234", "89000001234")


def test_an_undeclared_field_is_sealed_and_named(tokens: Tokeniser) -> None:
    cleaner = Pseudonymiser(stream(), tokens)
    record, sealed = cleaner.record({"id": "1", "new": {"x": 1}, "none": None})
    assert (record, sealed) == ({"id": "1"}, [("new", {"x": 1})])
    assert cleaner.undeclared == {"new", "none"}


def test_a_contact_without_a_kind_is_refused(tokens: Tokeniser) -> None:
    with pytest.raises(ConfigError, match="of which kind"):
        Pseudonymiser(stream(Field("p", "contact")), tokens)


def test_caches_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.base.pseudonymise.MOST_CACHED", 10)
    tokens = Tokeniser("1", KEY)
    for last in range(100):
        tokens.phones(f"790000012{last:02}")
        tokens.emails(f"a{last}@example.com")
        tokens.name(f"Анна {'а' * last}")
        tokens.own_number(f"749512345{last:02}")
    for cache in (tokens._phones, tokens._emails, tokens._names, tokens._own):
        assert 0 < len(cache) <= 10


@given(
    st.text("0123456789 ()-.+а,:/\t\u00a0\u2013", max_size=40)
    | st.from_regex(r"\A.{0,5}[78][ -]?9[0-9]{2}[ .-]?[0-9]{3}[- ]?[0-9]{4}.{0,5}\Z")
)
def test_the_cheap_look_misses_nothing(text: str) -> None:
    """What the library's matcher finds, `text` takes out: it was looked at."""
    tokens = Tokeniser("1", KEY)
    if any(phonenumbers.PhoneNumberMatcher(text, "RU")):
        assert tokens.text(text) != text
        ((first, *_), _) = tokens.drain()
        assert first.kind == "phone"
