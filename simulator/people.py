"""Names, phones and e-mails, and the many ways people type them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

_MEN = [
    "Александр",
    "Алексей",
    "Андрей",
    "Артём",
    "Борис",
    "Вадим",
    "Виктор",
    "Владимир",
    "Дмитрий",
    "Евгений",
    "Иван",
    "Игорь",
    "Илья",
    "Кирилл",
    "Константин",
    "Максим",
    "Михаил",
    "Никита",
    "Николай",
    "Олег",
    "Павел",
    "Пётр",
    "Роман",
    "Семён",
    "Сергей",
    "Степан",
    "Тимур",
    "Фёдор",
    "Юрий",
    "Ярослав",
]
_WOMEN = [
    "Алёна",
    "Алина",
    "Анастасия",
    "Анна",
    "Валентина",
    "Вера",
    "Виктория",
    "Галина",
    "Дарья",
    "Екатерина",
    "Елена",
    "Жанна",
    "Зоя",
    "Инна",
    "Ирина",
    "Ксения",
    "Лариса",
    "Любовь",
    "Людмила",
    "Марина",
    "Мария",
    "Надежда",
    "Наталья",
    "Оксана",
    "Ольга",
    "Полина",
    "Светлана",
    "Татьяна",
    "Юлия",
    "Яна",
]
_SURNAMES = [
    "Аксёнов",
    "Алексеев",
    "Андреев",
    "Афанасьев",
    "Баранов",
    "Белов",
    "Беляев",
    "Богданов",
    "Борисов",
    "Быков",
    "Васильев",
    "Виноградов",
    "Воробьёв",
    "Воронов",
    "Гаврилов",
    "Герасимов",
    "Голубев",
    "Горбачёв",
    "Григорьев",
    "Громов",
    "Гусев",
    "Давыдов",
    "Данилов",
    "Денисов",
    "Дмитриев",
    "Егоров",
    "Ершов",
    "Жуков",
    "Зайцев",
    "Захаров",
    "Зиновьев",
    "Зуев",
    "Иванов",
    "Ильин",
    "Исаев",
    "Калинин",
    "Карпов",
    "Киселёв",
    "Ковалёв",
    "Козлов",
    "Колесников",
    "Комаров",
    "Кондратьев",
    "Королёв",
    "Крылов",
    "Кудрявцев",
    "Кузнецов",
    "Кузьмин",
    "Лазарев",
    "Лебедев",
    "Логинов",
    "Макаров",
    "Максимов",
    "Марков",
    "Мартынов",
    "Медведев",
    "Мельников",
    "Миронов",
    "Михайлов",
    "Морозов",
    "Назаров",
    "Никитин",
    "Николаев",
    "Новиков",
    "Орлов",
    "Осипов",
    "Павлов",
    "Панов",
    "Пестов",
    "Петров",
    "Поляков",
    "Пономарёв",
    "Попов",
    "Родионов",
    "Романов",
    "Рыбаков",
    "Рябов",
    "Савельев",
    "Семёнов",
    "Сергеев",
    "Сидоров",
    "Смирнов",
    "Соболев",
    "Соловьёв",
    "Сорокин",
    "Степанов",
    "Тарасов",
    "Титов",
    "Тихонов",
    "Ткачёв",
    "Третьяков",
    "Трофимов",
    "Ушаков",
    "Фёдоров",
    "Филатов",
    "Филиппов",
    "Фомин",
    "Фролов",
    "Царёв",
    "Чернов",
    "Чистяков",
    "Шестаков",
    "Широков",
    "Щербаков",
    "Юдин",
    "Яковлев",
]
_FATHERS = [
    "Александрович",
    "Алексеевич",
    "Андреевич",
    "Борисович",
    "Викторович",
    "Владимирович",
    "Геннадьевич",
    "Дмитриевич",
    "Евгеньевич",
    "Иванович",
    "Игоревич",
    "Михайлович",
    "Николаевич",
    "Олегович",
    "Павлович",
    "Петрович",
    "Романович",
    "Семёнович",
    "Сергеевич",
    "Степанович",
    "Фёдорович",
    "Юрьевич",
]
_LATIN = str.maketrans(
    {
        "а": "a",
        "б": "b",
        "в": "v",
        "г": "g",
        "д": "d",
        "е": "e",
        "ё": "e",
        "ж": "zh",
        "з": "z",
        "и": "i",
        "й": "y",
        "к": "k",
        "л": "l",
        "м": "m",
        "н": "n",
        "о": "o",
        "п": "p",
        "р": "r",
        "с": "s",
        "т": "t",
        "у": "u",
        "ф": "f",
        "х": "h",
        "ц": "c",
        "ч": "ch",
        "ш": "sh",
        "щ": "sch",
        "ъ": "",
        "ы": "y",
        "ь": "",
        "э": "e",
        "ю": "yu",
        "я": "ya",
    }
)


def full_name(chance: Random, woman: bool) -> tuple[str, str, str]:
    """A first name, a last name and a father's name of one sex."""
    last, father = chance.choice(_SURNAMES), chance.choice(_FATHERS)
    if not woman:
        return chance.choice(_MEN), last, father
    return chance.choice(_WOMEN), of_woman(last), father[:-2] + "на"


def of_woman(surname: str) -> str:
    """The same family's name as its women bear it."""
    return surname + "а" if surname.endswith(("в", "н")) else surname


def of_man(surname: str) -> str:
    """The same family's name as its men bear it."""
    return surname[:-1] if surname.endswith("а") else surname


def latin(text: str) -> str:
    """Cyrillic letters as an e-mail writes them."""
    return text.lower().translate(_LATIN)


class Numbers:
    """Gives out phone numbers nobody has, each once: +7XXXXXXXXXX.

    First those of the firm's prefixes, then (worlds ten times the usual) those of
    `more`; landlines have a prefix of their own. The first hundreds look like
    placeholders and are left out. Raises ValueError when there are no more.
    """

    def __init__(
        self,
        chance: Random,
        prefixes: tuple[str, ...],
        more: tuple[str, int, int],
        landlines: str,
    ) -> None:
        strict = [
            f"+7{prefix}{tail:04d}" for prefix in prefixes for tail in range(100, 10000)
        ]
        chance.shuffle(strict)
        self._mobiles = iter(strict)
        self._more_prefix = more[0]
        self._more = iter(range(*more[1:]))
        self._landline_prefix = landlines
        self._landlines = iter(range(1000, 10000))

    def mobile(self) -> str:
        """A mobile number."""
        found = next(self._mobiles, None)
        if found is None:
            tail = next(self._more, None)
            if tail is None:
                raise ValueError("size: the fictional mobile numbers have run out")
            found = f"+7{self._more_prefix}{tail:06d}"
        return found

    def landline(self) -> str:
        """A flat's landline."""
        tail = next(self._landlines, None)
        if tail is None:
            return self.mobile()
        return f"+7{self._landline_prefix}{tail:04d}"


_MANNERS = (
    "+7 ({a}) {b}-{c}-{d}",
    "8 ({a}) {b}-{c}-{d}",
    "8{a}{b}{c}{d}",
    "+7{a}{b}{c}{d}",
    "+7 {a} {b}-{c}-{d}",
    "8 {a} {b} {c} {d}",
    "7{a}{b}{c}{d}",
    "{a}{b}{c}{d}",
    "8-{a}-{b}-{c}-{d}",
    "8({a}){b}{c}{d}",
    "+7 {a} {b} {c} {d} ",
    "тел. 8 {a} {b}-{c}-{d}",
)


def typed_phone(chance: Random, phone: str) -> str:
    """A number as somebody typed it into a form or a card."""
    a, b, c, d = phone[2:5], phone[5:8], phone[8:10], phone[10:12]
    manner = chance.choice(_MANNERS)
    return manner.format(a=a, b=b, c=c, d=d)


def typed_name(chance: Random, first: str, last: str) -> str:
    """What somebody writes into the one name field of a form."""
    name = chance.choice((first, first, f"{first} {last}", f"{last} {first}"))
    how = chance.random()
    if how < 0.15:
        name = name.lower()
    elif how < 0.2:
        name = name.upper()
    elif how < 0.25:
        name = f" {name} "
    return plain_e(name) if chance.random() < 0.6 else name


def plain_e(text: str) -> str:
    """Text without ё, as most people type it."""
    return text.replace("ё", "е").replace("Ё", "Е")


def mailbox(chance: Random, first: str, last: str, number: int, mark: str = "") -> str:
    """An e-mail address at a reserved domain, unique by `number` and `mark`."""
    host = chance.choice(("example.com", "example.org", "example.net"))
    left = chance.choice((f"{latin(first)}.{latin(last)}", f"{latin(last)}"))
    return f"{left}{number}{mark}@{host}"
