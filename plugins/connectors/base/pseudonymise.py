"""Takes phones, e-mails and names out of records at the door and leaves tokens.

A token is `ph1_`, `em1_` or `nm1_` (`1` is the key's id) and 26 letters of base32 of
HMAC-SHA256(key, kind + ":" + normalised value): equal for every spelling of one phone,
e-mail or name, and worthless without the key, which is not in the database. The words of
a name have tokens of their own (`wd1_`), so that «Иван» and «Иван Петров» can be compared. What was
found is collected here for `pii.contacts` (clear) and `identity.token_facts` (what the
rest may know); landing writes both.

Phones follow libphonenumber's metadata and what cabinets really send: a number
counts when it is valid (not merely possible). Russian mobiles, nearly all of what comes,
are recognised by a pattern instead: 20 times cheaper and, as a test shows, the same.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, unquote, unquote_plus

import orjson
import phonenumbers
from phonenumbers import NumberParseException, PhoneNumberFormat, PhoneNumberMatcher
from phonenumbers import PhoneNumberType as NumberType

from connectors.base.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from connectors.base.batch import Record
    from connectors.base.stream import Stream

Kind = Literal["phone", "email", "name"]
NAME_TOKEN = "_name_token"  # noqa: S105 - the name of a field
PREFIX: dict[Kind | Literal["word"], str] = {
    "phone": "ph", "email": "em", "name": "nm", "word": "wd",
}  # fmt: skip
MOST_CACHED = 50_000  # values; about 15 MB for each kind
LONGEST_SPELLING = 500
MOST_DIGITS = 15  # of a phone number (ITU-T E.164)
MOST_WORDS = 10  # of a name; more are no name

# base32 (RFC 4648) in lower case, two letters (ten bits) at a time; base64.b32encode
# takes four times as long
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = [high + low for high in _BASE32 for low in _BASE32]
_SHIFTS = range(120, -1, -10)
_BLOCK = 64  # bytes of a SHA-256 block: HMAC pads its key to it
_NUMBER_TYPES = {
    NumberType.MOBILE: "mobile",
    NumberType.FIXED_LINE: "fixed_line",
    NumberType.FIXED_LINE_OR_MOBILE: "fixed_line_or_mobile",
    NumberType.TOLL_FREE: "toll_free",
    NumberType.PREMIUM_RATE: "premium_rate",
    NumberType.SHARED_COST: "shared_cost",
    NumberType.VOIP: "voip",
    NumberType.PERSONAL_NUMBER: "personal_number",
    NumberType.PAGER: "pager",
    NumberType.UAN: "uan",
    NumberType.VOICEMAIL: "voicemail",
}
_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
_PUNCTUATION = str.maketrans("", "", f" \t\u00a0().-{_DASHES}")
# of 9300… only a part is given out: libphonenumber knows which
_RU_MOBILE = re.compile(r"(?:\+?7|8)?(9(?!300)[0-9]{9})")
_BETWEEN = rf"[\s().{_DASHES}-]{{0,3}}"
_RU_IN_TEXT = re.compile(
    rf"(?<!\d)(?:\+?7|8){_BETWEEN}\d{{3}}{_BETWEEN}\d{{3}}"
    rf"{_BETWEEN}\d{{2}}{_BETWEEN}\d{{2}}(?!\d)"
)
_NUMBER_IN_TEXT = re.compile(
    rf"(?<!\d)(?:\+\s?)?\d(?:[\s().{_DASHES}-]{{0,3}}\d){{9,14}}(?!\d)"
)
_DIGITS_AS_NULLS = bytes.maketrans(b"123456789", b"000000000")
# punctuation that phones are written with; bytes of dashes and of the no-break space,
# too, which at worst makes a look worth while that was not
_BETWEEN_DIGITS = " \t()-./\\+~*#_\u00a0\u2009\u202f".encode() + _DASHES.encode()
_SCHEME = re.compile(r"\s*(?:tel|sips?|callto):", re.IGNORECASE)
_EMAIL = re.compile(
    r"(?<![\w.+'-])[\w.+'-]++@(?:[\w-]++\.)+[\w-]{2,}", re.IGNORECASE | re.UNICODE
)
_WORD = re.compile(r"[^\W\d_]+(?:[-'’][^\W\d_]+)*")

# In URLs only parameters with these names are looked into: a phone matcher run over
# whole URLs finds a "phone" in 22 % of ordinary ad links.
_WHOSE = "(?:user|client|contact|customer|your|my|lead|buyer|caller|form|guest)?"
_URL_NAMES: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    (
        "phone",
        re.compile(
            rf"{_WHOSE}(?:phone|phones|tel|telephone|telefon|mobile|mobilephone"
            r"|phonenumber|cellphone|whatsapp|msisdn)"
        ),
    ),
    ("email", re.compile(rf"{_WHOSE}(?:email|emails|mail|emailaddress|pochta)")),
    (
        "name",
        re.compile(
            rf"{_WHOSE}(?:name|fio|firstname|lastname|fname|lname|surname|fullname"
            r"|secondname|middlename|patronymic|familiya|imya)"
        ),
    ),
)
# A cheap look at lower-case text: without one of these there is nothing to find.
_URL_WORDS = (
    "phone", "tel", "mobile", "whatsapp", "msisdn", "mail", "pochta", "name", "fio",
    "patronymic", "familiya", "imya", "@", "%40", "%2540", "sip:", "callto:",
)  # fmt: skip
_URL_WORDS_AS_BYTES = tuple(word.encode() for word in _URL_WORDS)
_URL_HINT = re.compile(
    r"(?:phone|phones|tel|telephone|telefon|mobile|number|whatsapp|msisdn|mail|mails"
    r"|address|pochta|name|fio|patronymic|familiya|imya)(?:\]|%(?:25)*5d)*"
    r"(?:=|%(?:25)*3d)|@|%(?:25)*40|(?:tel|sips?|callto|mailto):"
)
_URL_PARAMETER = re.compile(
    r"((?:[?&#;]|%(?:25)*(?:3f|26|23|3b))"  # a parameter begins, also in a nested URL
    r"((?:[\w.\[\]-]|%(?:25)*5[bd]){1,60})"  # its name
    r"(?:=|%(?:25)*3d))"
    r"((?:(?!%(?:25)*(?:3f|26|23))[^&#;])+)",  # its value
    re.IGNORECASE,
)
_URL_EMAIL = re.compile(
    r"((?:=|%(?:25)*3d|mailto:))"
    r"([\w.+-]+(?:%(?:25)*2b[\w.+-]+)?(?:@|%(?:25)*40)(?:[\w-]+\.)+[\w-]{2,})",
    re.IGNORECASE,
)
_URL_PHONE = re.compile(r"(?:tel|sips?|callto):", re.IGNORECASE)

# Inside {"ID": …, "VALUE_TYPE": "WORK", "VALUE": …} these say nothing of a person.
_ABOUT_THE_CONTACT = re.compile(r"(?i)(?:.*_)?(?:id|type|kind)|.*[a-z](?:Id|Type|Kind)")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_YANDEX = _words("yandex.ru ya.ru yandex.com yandex.by yandex.kz yandex.ua narod.ru")
_GMAIL = _words("gmail.com googlemail.com")
_FREE = (
    _YANDEX
    | _GMAIL
    | _words(
        "mail.ru bk.ru inbox.ru list.ru internet.ru vk.com rambler.ru lenta.ru ro.ru "
        "hotmail.com outlook.com live.com msn.com yahoo.com icloud.com me.com mac.com "
        "proton.me protonmail.com gmx.com gmx.de aol.com ukr.net tut.by"
    )
)
_ROLES = _words(
    "info sales sale office admin support help zakaz order orders shop mail manager "
    "contact contacts reception buh marketing hr job hello service director"
)
_ROBOTS = _words(
    "noreply no-reply donotreply do-not-reply robot auto mailer-daemon postmaster "
    "notification notifications bounce"
)
_FAKE_LOCALS = _words(
    "test no none noemail no-email nomail no-mail netu net 1 123 qwerty asdf xxx"
)
_FAKE_DOMAINS = _words("test.ru test.com 1.ru no.no none.ru noemail.ru")
_FAKE_NAMES = frozenset(
    " ".join(sorted(each.split()))
    for each in (
        "без имени",
        "клиент",
        "новый клиент",
        "новый лид",
        "тест",
        "тест тестов",
        "test",
        "имя",
        "неизвестно",
        "неизвестный",
        "unknown",
        "no name",
        "noname",
        "аноним",
        "anonymous",
        "гость",
        "guest",
    )
)


@dataclass(slots=True)
class TokenFact:
    """What stands behind a token; `value` is clear and goes to pii only."""

    token: str
    kind: Kind
    value: str
    number_type: str | None = None
    country: str | None = None
    is_placeholder: bool = False
    mailbox_class: str | None = None
    masked: str = ""
    is_own_number: bool = False
    words: tuple[str, ...] = ()  # of a name: the token of each, sorted


class Tokeniser:
    """Finds contacts in what people typed, and names them by tokens.

    `region` is the ISO 3166 code of the country a phone without one is dialled in.
    All that was found since the last `drain` is kept for the warehouse.
    """

    def __init__(self, key_id: str, key: bytes, region: str = "RU") -> None:
        if len(key_id) != 1 or len(key) < 16:
            raise ConfigError("a token key has a one-letter id and at least 16 bytes")
        block = key if len(key) <= _BLOCK else hashlib.sha256(key).digest()
        block = block.ljust(_BLOCK, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in block))
        self._key_id = key_id
        self._region = region
        self._facts: dict[str, TokenFact] = {}
        self._spellings: set[tuple[str, str]] = set()
        self._phones: dict[str, tuple[str, ...]] = {}
        self._emails: dict[str, tuple[str, ...]] = {}
        self._names: dict[str, str | None] = {}
        self._words: dict[str, str] = {}
        self._own: set[str] = set()

    def token(self, kind: Kind | Literal["word"], value: str) -> str:
        """The token of a normalised value (E.164, lower-case address, sorted words)."""
        inner = self._inner.copy()
        inner.update(f"{kind}:{value}".encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        bits = int.from_bytes(outer.digest()[:17], "big") >> 6
        letters = "".join([_PAIRS[bits >> shift & 1023] for shift in _SHIFTS])
        return f"{PREFIX[kind]}{self._key_id}_{letters}"

    def drain(self) -> tuple[list[TokenFact], list[tuple[str, str]]]:
        """What was found since the last call: facts, and (token, spelling) pairs."""
        facts, spellings = list(self._facts.values()), list(self._spellings)
        self._facts.clear()
        self._spellings.clear()
        return facts, spellings

    @property
    def pending(self) -> int:
        """How many facts and spellings wait to be drained."""
        return len(self._facts) + len(self._spellings)

    # -- phones --------------------------------------------------------------------

    def phones(self, text: str) -> tuple[str, ...]:
        """Tokens of the phones in a cell meant for phones; none when it has no valid
        one. Each is named once, in the order of the cell."""
        known = self._phones.get(text)
        if known is None:
            found = dict(self._phone(number, text) for number in self._numbers(text))
            known = tuple(found)
            _remember(self._phones, text, known)
        return known

    def own_number(self, text: str) -> None:
        """Note that this is one of our own lines: a fact, and nothing else."""
        if text in self._own:
            return
        if len(self._own) >= MOST_CACHED:
            self._own.clear()
        self._own.add(text)
        for number in self._numbers(text):
            fact = self._phone_fact(number)
            fact.is_own_number = True
            fact.value = ""
            known = self._facts.get(fact.token)
            if known is None:
                self._facts[fact.token] = fact
            else:
                known.is_own_number = True

    def _phone(self, number: str, spelling: str) -> tuple[str, None]:
        token = self.token("phone", number)
        known = self._facts.get(token)
        if known is None:
            self._facts[token] = self._phone_fact(number, token)
        elif not known.value:  # so far only one of our own lines
            known.value = number
        self._spellings.add((token, spelling[:LONGEST_SPELLING]))
        return token, None

    def _numbers(self, text: str) -> list[str]:
        """E.164 of every valid number in a cell."""
        if self._region == "RU" and (
            match := _RU_MOBILE.fullmatch(text.translate(_PUNCTUATION))
        ):
            return ["+7" + match[1]]
        text = unicodedata.normalize("NFKC", text)
        if scheme := _SCHEME.match(text):
            text = text[scheme.end() :].partition("@")[0]
        # more digits than a number has: several, which `parse` would cut at a ";"
        if sum(map(str.isdigit, text)) <= MOST_DIGITS and (
            (number := self._number(text)) is not None
        ):
            return [number]
        digits = text.translate(_PUNCTUATION)
        if (
            11 <= len(digits) <= MOST_DIGITS
            and digits.isascii()
            and digits.isdigit()
            and (number := self._number("+" + digits)) is not None
        ):
            return [number]  # a foreign number typed without its plus
        return [_e164(match.number) for match in PhoneNumberMatcher(text, self._region)]

    def _number(self, text: str) -> str | None:
        try:
            number = phonenumbers.parse(text, self._region)
        except NumberParseException:
            return None
        return _e164(number) if phonenumbers.is_valid_number(number) else None

    def _phone_fact(self, number: str, token: str | None = None) -> TokenFact:
        country: str | None
        if number.startswith("+79"):
            number_type, country, code = "mobile", "RU", "+7"
        else:
            parsed = phonenumbers.parse(number)
            number_type = _NUMBER_TYPES.get(phonenumbers.number_type(parsed), "other")
            country = phonenumbers.region_code_for_number(parsed)
            code = f"+{parsed.country_code}"
        tail = number[-7:]
        return TokenFact(
            token=token or self.token("phone", number),
            kind="phone",
            value=number,
            number_type=number_type,
            country=country,
            is_placeholder=len(set(tail)) == 1 or tail in "0123456789 9876543210",
            masked=f"{code}***{number[-2:]}",
        )

    # -- e-mails -------------------------------------------------------------------

    def emails(self, text: str) -> tuple[str, ...]:
        """Tokens of the e-mail addresses in a cell, each once, in its order."""
        if "@" not in text and "＠" not in text:
            return ()
        known = self._emails.get(text)
        if known is None:
            wide = unicodedata.normalize("NFKC", text)
            known = tuple(dict.fromkeys(map(self._email, _EMAIL.findall(wide))))
            _remember(self._emails, text, known)
        return known

    def _email(self, spelling: str) -> str:
        address = normal_email(spelling)
        token = self.token("email", address)
        if token not in self._facts:
            local, _, domain = address.partition("@")
            self._facts[token] = TokenFact(
                token=token,
                kind="email",
                value=address,
                is_placeholder=local in _FAKE_LOCALS or domain in _FAKE_DOMAINS,
                mailbox_class=_mailbox_class(local, domain),
                masked=f"{local[:1]}***@{domain}",
            )
        self._spellings.add((token, spelling[:LONGEST_SPELLING]))
        return token

    # -- names ---------------------------------------------------------------------

    def name(self, text: str) -> str | None:
        """The token of a person's name; None when there is no letter in it."""
        if text in self._names:
            return self._names[text]
        words = normal_name(text)
        token: str | None = None
        if words:
            token = self.token("name", words)
            if token not in self._facts:
                self._facts[token] = TokenFact(
                    token=token,
                    kind="name",
                    value=words,
                    is_placeholder=words in _FAKE_NAMES,
                    masked=" ".join(f"{word[0].upper()}." for word in words.split()),
                    words=tuple(sorted(map(self._word, words.split()[:MOST_WORDS]))),
                )
            self._spellings.add((token, text[:LONGEST_SPELLING]))
        _remember(self._names, text, token)
        return token

    def _word(self, word: str) -> str:
        token = self._words.get(word)
        if token is None:
            token = self.token("word", word)
            _remember(self._words, word, token)
        return token

    # -- whole cells ---------------------------------------------------------------

    def contact(self, text: str, kind: Kind) -> tuple[str, ...]:
        """Tokens for a cell that holds a contact of this kind.

        People type an e-mail where a phone belongs, and the other way round: what is
        found then gets the token of what it is. Empty: nothing could be read.
        """
        if kind == "phone":
            return self.phones(text) or self.emails(text)
        if kind == "email":
            return self.emails(text) or self.phones(text)
        token = self.name(text)
        return (token,) if token else self.phones(text)

    def text(self, text: str) -> str:
        """Free text with every phone and e-mail in it replaced by its token."""
        if "@" in text:
            text = _EMAIL.sub(lambda match: self._email(match[0]), text)
        if not _digits_hint(text):
            return text
        text = _RU_IN_TEXT.sub(self._replaced, text)
        text = _NUMBER_IN_TEXT.sub(self._replaced, text)
        if not _digits_hint(text):
            return text
        # from the end, so that earlier positions stay
        for match in reversed(list(PhoneNumberMatcher(text, self._region))):
            token, _ = self._phone(_e164(match.number), match.raw_string)
            text = text[: match.start] + token + text[match.end :]
        return text

    def _replaced(self, match: re.Match[str]) -> str:
        mobile = _RU_MOBILE.fullmatch(match[0].translate(_PUNCTUATION))
        number: str | None
        if mobile and self._region == "RU":
            number = "+7" + mobile[1]
        else:
            number = self._number(match[0])
        return match[0] if number is None else self._phone(number, match[0])[0]

    def url(self, url: str) -> str:
        """An address whose personal parameters (phone, email, name …) are tokens.

        Nothing else of it is looked at, but for an e-mail that is a parameter's whole
        value. An unreadable phone of six digits or more becomes `***`.
        """
        if not url_hint(url):
            return url
        if _URL_PHONE.match(url):
            return ",".join(self.phones(url)) or "***"
        url = _URL_PARAMETER.sub(self._parameter, url)
        if "@" in url or "40" in url:
            url = _URL_EMAIL.sub(
                lambda match: match[1] + self._email(_unquoted(match[2])), url
            )
        return url

    def _parameter(self, match: re.Match[str]) -> str:
        name = re.split(r"[.\[]", _unquoted(match[2]).lower().rstrip("]"))[-1]
        name = name.replace("-", "").replace("_", "")
        for kind, names in _URL_NAMES:
            if names.fullmatch(name):
                value = _unquoted(match[3]).strip()
                if kind == "phone" and value[:1].isdigit() and match[3][0] == "+":
                    value = "+" + value  # a bare plus decodes to a space
                tokens = self.contact(value, kind)
                if tokens:
                    return match[1] + quote(",".join(tokens), safe=",")
                if kind == "phone" and sum(map(str.isdigit, value)) >= 6:
                    return match[1] + "***"
                break
        return match[0]


class Pseudonymiser:
    """Applies a stream's field classes to its records.

    The record that comes out holds declared fields only, with tokens for contacts: one
    token as a string, several as a list, and null for a cell that could not be read.
    What is not in it is handed back as `sealed` pairs (field, original value): contact
    cells that could not be read, and fields that nobody declared.
    """

    def __init__(self, stream: Stream, tokeniser: Tokeniser) -> None:
        self.tokens = tokeniser
        self.undeclared: set[str] = set()
        self._declared = frozenset(field.name for field in stream.fields)
        self._contacts: list[tuple[str, Kind]] = []
        self._texts: list[str] = []
        self._urls: list[str] = []
        self._own_lines: list[str] = []
        for field in stream.fields:
            if field.field_class == "contact":
                if field.contact_kind is None:
                    raise ConfigError(
                        f"stream {stream.name}: field {field.name} is a contact, say "
                        "of which kind (phone, email, name)"
                    )
                self._contacts.append((field.name, field.contact_kind))
            elif field.field_class == "text":
                self._texts.append(field.name)
            elif field.field_class == "url":
                self._urls.append(field.name)
            elif field.field_class == "business_number":
                self._own_lines.append(field.name)
        names = [name for name, kind in self._contacts if kind == "name"]
        self._parts_of_name = names if len(names) > 1 else []

    @property
    def whole_records_only(self) -> bool:
        """A name in parts needs the whole record, so cells cannot be cleaned alone."""
        return bool(self._parts_of_name)

    def record(self, record: Record) -> tuple[Record, list[tuple[str, Any]]]:
        """A new record without clear contacts, and what has to be sealed."""
        sealed: list[tuple[str, Any]] = []
        clean = record.copy()
        if not record.keys() <= self._declared:
            for name in record.keys() - self._declared:
                value = clean.pop(name)
                self.undeclared.add(name)
                if value is not None and value != "":
                    sealed.append((name, value))
        if self._parts_of_name:
            parts = [record.get(name) for name in self._parts_of_name]
            whole = " ".join(part for part in parts if part and isinstance(part, str))
            clean[NAME_TOKEN] = self.tokens.name(whole) if whole else None
        for name, kind in self._contacts:
            value = clean.get(name)
            if value is not None and value != "":
                clean[name], readable = self._contact(value, kind)
                if not readable:
                    sealed.append((name, value))
        for name in self._texts:
            if value := clean.get(name):
                clean[name] = self._scanned(value, text_hint, self.tokens.text)
        for name in self._urls:
            if value := clean.get(name):
                clean[name] = self._scanned(value, url_hint, self.tokens.url)
        for name in self._own_lines:
            if value := clean.get(name):
                _deep(value, self._own)
        return clean, sealed

    def cells(self, columns: Iterable[str]) -> list[tuple[int, CellCleaner]]:
        """For tab-separated rows: which columns need work, and what does it.

        The cleaner of a column takes a non-empty cell and gives the cell that replaces
        it, or None when the row must take the way of whole records (several tokens,
        something to seal, a field nobody declared).
        """
        contacts = dict(self._contacts)
        texts, urls, own = set(self._texts), set(self._urls), set(self._own_lines)
        work: list[tuple[int, CellCleaner]] = []
        for index, name in enumerate(columns):
            if name not in self._declared:
                cleaner = CellCleaner(_give_up, _all_rows)
            elif name in contacts:
                cleaner = CellCleaner(self._one_token(contacts[name]), _all_rows)
            elif name in texts:
                cleaner = CellCleaner(self.tokens.text, _text_suspects)
            elif name in urls:
                cleaner = CellCleaner(self.tokens.url, _url_suspects)
            elif name in own:
                cleaner = CellCleaner(self._own, _all_rows)
            else:
                continue
            work.append((index, cleaner))
        return work

    @staticmethod
    def _scanned(
        value: Any, hint: Callable[[str], bool], replace: Callable[[str], str]
    ) -> Any:
        """A text or URL, or a structure of them, without contacts."""
        if isinstance(value, str):
            return replace(value)
        if isinstance(value, list | dict):
            try:
                # to print a structure is cheaper than to walk through it
                if not hint(orjson.dumps(value).decode()):
                    return value
            except TypeError:
                pass
        return _deep(value, replace)

    def _one_token(self, kind: Kind) -> Callable[[str], str | None]:
        def clean(cell: str) -> str | None:
            tokens = self.tokens.contact(cell, kind)
            return tokens[0] if len(tokens) == 1 else None

        return clean

    def _own(self, value: str) -> str:
        self.tokens.own_number(value)
        return value

    def _contact(self, value: Any, kind: Kind) -> tuple[Any, bool]:
        """(what replaces a contact value, was all of it readable?)."""
        if isinstance(value, str):
            if not value.strip():
                return value, True
            tokens = self.tokens.contact(value, kind)
            if len(tokens) > 1:
                return list(tokens), True
            return (tokens[0], True) if tokens else (None, False)
        if isinstance(value, bool) or value is None:
            return value, True
        if isinstance(value, int | float):
            return self._contact(str(value), kind)
        if isinstance(value, list):
            pairs = [self._contact(each, kind) for each in value]
            return [pair[0] for pair in pairs], all(pair[1] for pair in pairs)
        replaced, readable = {}, True
        for name, each in value.items():
            if _ABOUT_THE_CONTACT.fullmatch(name):
                replaced[name] = each
            else:
                replaced[name], fine = self._contact(each, kind)
                readable = readable and fine
        return replaced, readable


@dataclass(frozen=True, slots=True)
class CellCleaner:
    """What to do with the cells of a column, and in which rows it may be needed."""

    clean: Callable[[str], str | None]
    suspects: Callable[[Sequence[bytes]], Iterable[int]]


def text_hint(text: str) -> bool:
    """May there be a phone or an e-mail in this text, or in a structure as JSON?"""
    return "@" in text or _digits_hint(text)


def _digits_hint(text: str) -> bool:
    """Seven digits with nothing but punctuation between them? May err on the side of
    yes; twenty times cheaper than a pattern."""
    raw = text.encode(errors="replace")
    return (
        b"0000000" in raw.translate(_DIGITS_AS_NULLS, _BETWEEN_DIGITS)
        or b"\xef\xbc" in raw  # full-width digits
        or b"\\t" in raw  # a tab, in JSON
    )


def url_hint(text: str) -> bool:
    """May there be a personal parameter in this URL, or in one of these?"""
    text = text.lower()
    for word in _URL_WORDS:
        if word in text:
            return _URL_HINT.search(text) is not None
    return False


def _text_suspects(column: Sequence[bytes]) -> Iterable[int]:
    if not text_hint(b"\n".join(column).decode()):
        return ()
    return [at for at, cell in enumerate(column) if text_hint(cell.decode())]


def _url_suspects(column: Sequence[bytes]) -> Iterable[int]:
    """Rows that hold one of the words, found by searching all rows at once."""
    joined = b"\n".join(column).lower()  # bytes: only ASCII, so places stay
    found: set[int] = set()
    for word in _URL_WORDS_AS_BYTES:
        at, row, counted = joined.find(word), 0, 0
        while at >= 0:
            row += joined.count(b"\n", counted, at)
            counted = at
            found.add(row)
            end = joined.find(b"\n", at)
            at = joined.find(word, end) if end >= 0 else -1
    return found


def _all_rows(column: Sequence[bytes]) -> Iterable[int]:
    return range(len(column))


def normal_email(spelling: str) -> str:
    """An address as its mailbox is known: equal for every way to write it.

    Lower case, IDN domains in their ASCII form. Yandex's domains are one, its `-` and
    `.` are one letter, and a `+tag` is no part of the login; Gmail also ignores dots.
    Other domains are left as they are.
    """
    local, _, domain = spelling.strip(" .,;'-").lower().rpartition("@")
    if not domain.isascii():
        # a name that DNS could not know is compared as it is
        with contextlib.suppress(UnicodeError):
            domain = domain.encode("idna").decode("ascii")
    if domain in _YANDEX:
        return f"{local.partition('+')[0].replace('.', '-')}@yandex.ru"
    if domain in _GMAIL:
        return f"{local.partition('+')[0].replace('.', '')}@gmail.com"
    return f"{local}@{domain}"


def normal_name(text: str) -> str:
    """A person's name as its sorted words, lower case, ё as е; "" without letters."""
    text = unicodedata.normalize("NFKC", text).lower().replace("ё", "е")
    return " ".join(sorted(_WORD.findall(text)))


def _mailbox_class(local: str, domain: str) -> str:
    if local in _ROBOTS:
        return "shared"
    if local in _ROLES:
        return "role"
    return "free" if domain in _FREE else "corporate"


def _e164(number: Any) -> str:
    return str(phonenumbers.format_number(number, PhoneNumberFormat.E164))


def _remember(cache: dict[str, Any], key: str, value: Any) -> None:
    if len(cache) >= MOST_CACHED:
        cache.clear()
    cache[key] = value


def _unquoted(value: str) -> str:
    """Percent-decoded until nothing changes (a URL inside a URL), at most thrice."""
    for _ in range(2):
        value, before = unquote(value), value
        if value == before:
            break
    return unquote_plus(value)


def _give_up(cell: str) -> None:
    del cell


def _deep(value: Any, replace: Callable[[str], str]) -> Any:
    """The same structure with every string in it replaced."""
    if isinstance(value, str):
        return replace(value) if value else value
    if isinstance(value, list):
        return [_deep(each, replace) for each in value]
    if isinstance(value, dict):
        return {name: _deep(each, replace) for name, each in value.items()}
    return value
