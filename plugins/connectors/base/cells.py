"""What people type into the cells of a table, read strictly: a value, nothing, or an
error that says what is wrong. Nothing is guessed where two readings are possible.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

# str, int, float, bool, date, datetime, time or None
Cell = Any

CENT = Decimal("0.01")
MOST_MONEY = Decimal(10) ** 12
YEARS = range(2000, 2101)
# Day 0 of spreadsheets; right from 1 March 1900 on.
# https://developers.google.com/sheets/api/reference/rest/v4/DateTimeRenderOption
_FIRST_DAY = datetime(1899, 12, 30)  # noqa: DTZ001 - a local time
_SERIALS = (36526, 73416)  # 2000-01-01, 2101-01-01

_SPACES = re.compile(r"[\s\u00a0\u2000-\u200b\u202f\u205f\u3000\ufeff]+")
_NOT_LETTERS = re.compile(r"[\W_]+")
_ERRORS = re.compile(
    r"#(?:REF!|N/A|NAME\?|VALUE!|DIV/0!|NUM!|NULL!|ERROR!|SPILL!|CALC!|ССЫЛКА!|Н/Д"
    r"|ИМЯ\?|ЗНАЧ!|ДЕЛ/0!|ЧИСЛО!|ПУСТО!)|#+",
    re.IGNORECASE,
)
_NOTHING = {"", "-", "–", "—", "−", "--"}
_ROUBLE = re.compile(r"(?:₽|руб(?:лей|ля|ль)?\.?|р\.?|rub|rur)$", re.IGNORECASE)
_PLAIN_MONEY = re.compile(r"[0-9]{1,11}(?:[.,][0-9]{1,2})?")
_DIGITS = re.compile(r"[0-9.,]*[0-9][0-9.,]*")
_MARK = re.compile("[.,]")
_MANTISSA = re.compile(r"[+]?\d(?:[.,]\d+)?[eE][+]?\d{1,2}")
_BETWEEN_PHONES = re.compile(r"[,;/|\n]+")
_DAY = re.compile(
    r"(?:(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})"
    r"|(?P<d2>\d{1,2})[./](?P<m2>\d{1,2})[./](?P<y2>\d{4}|\d{2}))"
    r"\s?(?:г\.?)?"
    r"(?:[T\s,]*(?P<h>\d{1,2}):(?P<min>\d{2})(?::(?P<s>\d{2})(?:[.,]\d+)?)?)?"
)
_YES = {"да", "yes", "true", "истина", "1", "с ндс", "+"}
_NO = {"нет", "no", "false", "ложь", "0", "без ндс", "-"}


class CellError(ValueError):
    """A cell that cannot be read; the text says why, without the cell's value."""


def is_blank(cell: Cell) -> bool:
    """Is there nothing in the cell but spaces?"""
    if not isinstance(cell, str):
        return cell is None
    return not (cell and cell[0].isalnum()) and not _SPACES.sub("", cell)


def folded(cell: Cell) -> str:
    """A text for comparing: case, ё, spaces and punctuation make no difference."""
    return _folded(cell) if isinstance(cell, str) else ""


@lru_cache(4096)
def _folded(cell: str) -> str:
    text = unicodedata.normalize("NFKC", cell).lower().replace("ё", "е")
    return _NOT_LETTERS.sub(" ", text).strip()


def shown(cell: Cell) -> str:
    """The cell as a person sees it, one line."""
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e16:
        cell = int(cell)
    return _SPACES.sub(" ", str(cell)).strip()


def text(cell: Cell) -> str | None:
    """Free text; line breaks stay. Raises CellError for a formula's error."""
    if isinstance(cell, str):
        return _text(cell)
    if isinstance(cell, bool):
        return "да" if cell else "нет"
    return None if cell is None else shown(cell)


@lru_cache(4096)
def _text(cell: str) -> str | None:
    if is_blank(cell):
        return None
    cell = unicodedata.normalize("NFC", cell).replace("\u00a0", " ").strip()
    if cell[:1] == "#" and _ERRORS.fullmatch(cell):
        raise CellError("holds a formula's error")
    return cell


def identifier(cell: Cell) -> str | None:
    """A number or code that names something. Raises CellError when digits were lost."""
    if isinstance(cell, bool):
        raise CellError("is no number or code")
    if isinstance(cell, float | int) and abs(cell) > 10**15:
        raise CellError(
            "is too long for a number cell, its last digits are lost; format the "
            "column as text"
        )
    found = text(cell)
    if found is not None and "\n" in found:
        raise CellError("has a line break in it")
    if found is not None and len(found) > 200:
        raise CellError("is longer than 200 letters")
    return found


def day(cell: Cell) -> str | None:
    """A civil day as YYYY-MM-DD. Raises CellError."""
    at = _local(cell)
    return None if at is None else at.date().isoformat()


def moment(cell: Cell, zone: ZoneInfo) -> str | None:
    """A moment as ISO 8601 with the offset of `zone`; a day alone is its midnight.

    Raises CellError.
    """
    at = _local(cell)
    return None if at is None else at.replace(tzinfo=zone).isoformat()


def _local(cell: Cell) -> datetime | None:
    if is_blank(cell):
        return None
    if isinstance(cell, datetime):
        at = cell.replace(tzinfo=None, microsecond=0)
    elif isinstance(cell, date):
        at = datetime.combine(cell, time.min)
    elif isinstance(cell, bool | time):
        raise CellError("is no date")
    elif isinstance(cell, int | float):
        at = _of_serial(cell)
    else:
        at = _of_text(str(cell))
    if at.year not in YEARS:
        raise CellError(f"is of the year {at.year}")
    return at


def _of_serial(serial: float) -> datetime:
    """A day number of a spreadsheet, its fraction the time of the day."""
    if not _SERIALS[0] <= serial < _SERIALS[1]:
        raise CellError("is a number that is no date of this century")
    return _FIRST_DAY + timedelta(seconds=round(serial * 86400))


@lru_cache(4096)
def _of_text(typed: str) -> datetime:
    typed = _SPACES.sub(" ", typed).strip()
    if _ERRORS.fullmatch(typed):
        raise CellError("holds a formula's error")
    match = _DAY.fullmatch(typed)
    if match is None:
        try:
            return _of_serial(float(Decimal(typed.replace(",", "."))))
        except InvalidOperation:
            raise CellError("is no date; write it as 31.12.2026") from None
    parts = match.groupdict()
    year = int(parts["y"] or parts["y2"])
    try:
        return datetime(  # noqa: DTZ001 - its zone is the caller's
            year + 2000 if year < 100 else year,
            int(parts["m"] or parts["m2"]),
            int(parts["d"] or parts["d2"]),
            int(parts["h"] or 0),
            int(parts["min"] or 0),
            int(parts["s"] or 0),
        )
    except ValueError:
        raise CellError("is a date that no calendar has (day first)") from None


def money(cell: Cell) -> str | None:
    """An amount as a decimal rounded to hundredths; ₽ and руб. may stand behind it.

    Raises CellError for other currencies, and for `1.234` or `1,234`, which are one
    and a quarter here and over a thousand there.
    """
    if is_blank(cell):
        return None
    if isinstance(cell, bool) or not isinstance(cell, str | int | float | Decimal):
        raise CellError("is no amount")
    if not isinstance(cell, str):
        return _rounded(Decimal(str(cell)))
    if _PLAIN_MONEY.fullmatch(cell):
        whole, _, rest = cell.replace(",", ".").partition(".")
        return f"{int(whole)}.{rest:0<2}"
    typed = _SPACES.sub("", unicodedata.normalize("NFKC", cell)).replace("'", "")
    if typed in _NOTHING:
        return None
    if _ERRORS.fullmatch(typed):
        raise CellError("holds a formula's error")
    typed = _ROUBLE.sub("", typed).replace("−", "-").replace("–", "-")
    if typed[:1] == "(" and typed[-1:] == ")":
        typed = "-" + typed[1:-1]
    sign = "-" if typed.startswith("-") else ""
    digits = typed.lstrip("+-")
    if not _DIGITS.fullmatch(digits):
        raise CellError("is no amount; write it as 1234,50")
    return _rounded(Decimal(sign + _point(digits)))


def _point(digits: str) -> str:
    """Digits with at most a decimal point: which of `.` and `,` is it?"""
    groups = _MARK.split(digits)
    marks = _MARK.findall(digits)
    if not marks:
        return digits
    if len(marks) == 1:
        if len(groups[1]) == 3 and 1 <= len(groups[0]) <= 3 and groups[0] != "0":
            raise CellError("can be read in two ways; write 1234,50 or 1 234,50")
        return f"{groups[0] or 0}.{groups[1] or 0}"
    thousands = all(len(each) == 3 for each in groups[1:-1])
    if not (thousands and 1 <= len(groups[0]) <= 3 and len(set(marks[:-1])) == 1):
        raise CellError("is no amount; write it as 1234,50")
    if marks[-1] != marks[0]:
        return "".join(groups[:-1]) + "." + (groups[-1] or "0")
    if len(groups[-1]) == 3:
        return "".join(groups)
    raise CellError("is no amount; write it as 1234,50")


def _rounded(amount: Decimal) -> str:
    if not amount.is_finite() or abs(amount) >= MOST_MONEY:
        raise CellError("is larger than any amount")
    return format(amount.quantize(CENT, ROUND_HALF_UP) + 0, "f")


def whole(cell: Cell) -> str | None:
    """A whole number that is not negative, as text. Raises CellError."""
    if is_blank(cell) or (isinstance(cell, str) and cell.strip() in _NOTHING):
        return None
    typed = _SPACES.sub("", shown(cell))
    if isinstance(cell, bool) or not re.fullmatch(r"[0-9]{1,15}", typed):
        raise CellError("is no whole number")
    return typed


def phone(cell: Cell) -> str | list[str] | None:
    """One phone or several, as typed, for the tokeniser; numbers lose their `E10`.

    What is no phone stays as it is: landing keeps it out of sight.
    """
    if is_blank(cell) or isinstance(cell, bool):
        return None
    if isinstance(cell, int | float):
        typed = shown(cell)
    else:
        typed = str(cell).replace("\u00a0", " ").strip().lstrip("'")
    if _MANTISSA.fullmatch(typed):
        number = Decimal(typed.replace(",", "."))
        # 7.92E+10 has lost its digits: it is nobody's number
        if len(re.sub(r"\D", "", re.split("[eE]", typed)[0])) >= 10:
            typed = format(number, "f").partition(".")[0]
    if _ERRORS.fullmatch(typed) or typed in _NOTHING:
        return None
    several = [part.strip() for part in _BETWEEN_PHONES.split(typed) if part.strip()]
    if len(several) > 1 and all(len(re.sub(r"\D", "", part)) >= 10 for part in several):
        return several
    return typed


def flag(cell: Cell) -> bool | None:
    """Yes or no. Raises CellError."""
    if is_blank(cell):
        return None
    if isinstance(cell, bool):
        return cell
    typed = shown(cell).lower()
    if typed in _YES or typed in _NO:
        return typed in _YES
    raise CellError("is neither да nor нет")


def currency(cell: Cell) -> str | None:
    """A currency by its ISO 4217 code or as roubles are written. Raises CellError."""
    if is_blank(cell):
        return None
    typed = shown(cell).upper()
    if typed in ("RUR", "RUB") or _ROUBLE.fullmatch(typed):
        return "RUB"
    if re.fullmatch("[A-Z]{3}", typed):
        return typed
    raise CellError("is no currency code such as RUB")
