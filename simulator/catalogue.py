"""What a firm sells and where it advertises: fixed lists, no chance in them.

`Firm` is the profile the generator works from; the lists here are those of msk,
«Тёплый контур», which makes and fits windows in Moscow and its region. Own phone
numbers are the same for every seed, so that seeds of the warehouse can name them. All
numbers are fictional: +7 900 000, +7 999 0, +7 495 000, +7 812 000, +7 843 000 and
8 800 000 are given to nobody.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.world import MSK, Category, Manager, StaticNumber, Status

SITE = "https://okna-kontur.example"
HOST = "okna-kontur.example"
COUNTER_ID = 90000001
SITE_ID = 50001
CLIENT_LOGIN = "okna-kontur"

GOAL_FORM, GOAL_CALL, GOAL_CALCULATOR = 300100001, 300100002, 300100003

CITIES = (
    ("Москва", "moscow", 58),
    ("Химки", "khimki", 6),
    ("Мытищи", "mytishchi", 6),
    ("Балашиха", "balashikha", 6),
    ("Королёв", "korolev", 5),
    ("Подольск", "podolsk", 5),
    ("Красногорск", "krasnogorsk", 4),
    ("Люберцы", "lyubertsy", 4),
    ("Одинцово", "odintsovo", 3),
    ("Щёлково", "shchyolkovo", 3),
)
CITY_WORDS = (
    "москва",
    "химки",
    "мытищи",
    "балашиха",
    "королёв",
    "подольск",
    "красногорск",
    "люберцы",
    "одинцово",
    "щёлково",
    "зеленоград",
    "реутов",
    "домодедово",
    "пушкино",
    "раменское",
    "жуковский",
    "долгопрудный",
    "видное",
    "ногинск",
    "серпухов",
)


@dataclass(frozen=True)
class CampaignPlan:
    """What a campaign is and what it is worth; numbers are relative, money in roubles.

    `effect` is how much interest one click makes, `sale` how well its leads buy,
    `ticket` how much dearer than usual they buy, `margin` the share of the amount.
    `nearness` is how close to a call or form its visitors are when they click, `fresh`
    the share of visitors never seen before. Without `modifiers` the `bases` name groups
    that have no phrases. `links`: ids, names, group (the template
    lies on the ad group), none.
    """

    name: str
    type: str
    network: str
    clicks: float
    click_price: float
    effect: float
    sale: float
    ticket: float
    margin: float
    nearness: float
    fresh: float
    links: str
    path: str
    bases: tuple[str, ...]
    modifiers: tuple[str, ...]
    audience: str | None = None
    wizard: bool = False
    started_days_before: int = 200
    platform: str = "yandex_direct"
    sides: tuple[str, ...] = ()  # where one ad is shown, each with rows of its own


_PLACES = ("", "цена", "москва", "под ключ", "недорого", "от производителя")
CAMPAIGNS = (
    CampaignPlan(
        "Поиск | Окна ПВХ | Москва",
        "TEXT_CAMPAIGN",
        "SEARCH",
        20,
        165,
        1.0,
        1.1,
        1.0,
        0.34,
        1.0,
        0.82,
        "ids",
        "okna",
        (
            "пластиковые окна",
            "окна пвх",
            "купить окна",
            "остекление квартиры",
            "заказать окна",
            "поменять окна",
            "окна с установкой",
            "трёхкамерные окна",
        ),
        (*_PLACES, "в рассрочку", "с монтажом", "отзывы", "!срочно"),
    ),
    CampaignPlan(
        "Поиск | Балконы и лоджии | МО",
        "TEXT_CAMPAIGN",
        "SEARCH",
        14,
        130,
        1.15,
        1.3,
        1.15,
        0.36,
        1.0,
        0.82,
        "ids",
        "balkony",
        (
            "остекление балконов",
            "остекление лоджии",
            "тёплый балкон",
            "балкон под ключ",
            "отделка балкона",
            "застеклить балкон",
            "раздвижные окна +на балкон",
        ),
        (*_PLACES, "п-44т", "хрущёвка", "с выносом", "-своими -руками"),
    ),
    CampaignPlan(
        "Поиск | Бренд «Тёплый контур»",
        "TEXT_CAMPAIGN",
        "SEARCH",
        8,
        28,
        0.12,
        1.4,
        1.0,
        0.35,
        2.6,
        0.3,
        "ids",
        "",
        ("тёплый контур", '"теплый контур окна"', "контур окна"),
        ("", "отзывы", "телефон", "сайт", "адрес", "цены", "официальный сайт"),
    ),
    CampaignPlan(
        " Поиск | Цены и калькулятор",
        "TEXT_CAMPAIGN",
        "SEARCH",
        10,
        205,
        0.55,
        0.3,
        0.8,
        0.3,
        0.9,
        0.86,
        "ids",
        "kalkulyator",
        (
            "калькулятор окон",
            "рассчитать стоимость окна",
            "сколько стоит окно",
            "цена окна",
            "дешёвые окна",
            "прайс окна пвх",
        ),
        ("", "онлайн", "2026", "со скидкой", "за м2", "с установкой", "москва"),
    ),
    CampaignPlan(
        'Поиск — Деревянные окна "Премиум"',
        "TEXT_CAMPAIGN",
        "SEARCH",
        5,
        290,
        0.95,
        1.5,
        2.4,
        0.42,
        1.0,
        0.84,
        "ids",
        "derevo",
        (
            "деревянные окна",
            "окна из дуба",
            "окна из лиственницы",
            "деревянные евроокна",
            "панорамные окна",
        ),
        (*_PLACES, "со стеклопакетом", "на заказ", "для дома"),
    ),
    CampaignPlan(
        "Поиск | Ремонт окон (горячее) ",
        "TEXT_CAMPAIGN",
        "SEARCH",
        10,
        118,
        1.7,
        0.16,
        0.12,
        0.5,
        1.4,
        0.88,
        "ids",
        "remont",
        (
            "ремонт пластиковых окон",
            "регулировка окон",
            "замена стеклопакета",
            "замена уплотнителя",
            "окно не закрывается",
            "ремонт фурнитуры окон",
        ),
        ("", "срочно", "на дому", "цена", "москва", "недорого", "мастер"),
    ),
    CampaignPlan(
        "РСЯ | Окна ПВХ | Москва + МО",
        "TEXT_CAMPAIGN",
        "AD_NETWORK",
        13,
        17,
        0.22,
        0.6,
        0.9,
        0.33,
        0.6,
        0.92,
        "ids",
        "okna",
        ("пластиковые окна", "новые окна", "окна в квартиру", "дуют окна"),
        ("", "скидки", "акция", "рассрочка", "цена", "москва", "производитель"),
    ),
    CampaignPlan(
        "РСЯ | Балконы 🪟 весна",
        "TEXT_CAMPAIGN",
        "AD_NETWORK",
        8,
        15,
        0.26,
        0.75,
        1.1,
        0.35,
        0.6,
        0.92,
        "names",
        "balkony",
        ("остекление балкона", "ремонт балкона", "балкон дизайн"),
        ("", "идеи", "цена", "под ключ", "рассрочка", "хрущёвка", "лоджия"),
    ),
    CampaignPlan(
        "РСЯ | Ретаргетинг | бросили «Калькулятор»",
        "TEXT_CAMPAIGN",
        "AD_NETWORK",
        5,
        26,
        0.06,
        1.0,
        1.0,
        0.34,
        1.9,
        0.03,
        "ids",
        "akcii",
        (),
        (),
        audience="Бросили калькулятор, 14 дней",
    ),
    CampaignPlan(
        "Единая | Дома и коттеджи",
        "UNIFIED_CAMPAIGN",
        "SEARCH",
        4,
        235,
        1.0,
        1.2,
        2.6,
        0.33,
        1.0,
        0.86,
        "group",
        "doma",
        (
            "остекление коттеджа",
            "окна для дома",
            "окна в частный дом",
            "остекление террасы",
            "окна на дачу",
        ),
        (*_PLACES, "рассчитать", "московская область"),
    ),
    CampaignPlan(
        "Мастер кампаний: остекление",
        "UNIFIED_CAMPAIGN",
        "AD_NETWORK",
        3,
        44,
        0.2,
        0.4,
        0.9,
        0.33,
        0.7,
        0.9,
        "ids",
        "okna",
        (),
        (),
        wizard=True,
        started_days_before=60,
    ),
    CampaignPlan(
        "Поиск | Конкуренты\u00a0— тест",
        "TEXT_CAMPAIGN",
        "SEARCH",
        3,
        255,
        0.28,
        0.3,
        0.9,
        0.3,
        0.8,
        0.9,
        "names",
        "sravnenie",
        ("окна у конкурента", "фабрика окон рядом", "оконный завод"),
        ("", "отзывы", "цены", "москва", "сравнить", "рейтинг", "адрес"),
        started_days_before=45,
    ),
)
SMALL_CAMPAIGNS = (0, 1, 2, 5, 7, 8, 10)


@dataclass(frozen=True)
class ChannelPlan:
    """A channel that costs nothing in Direct; numbers as in `CampaignPlan`."""

    channel: str
    visits: float
    effect: float
    sale: float
    nearness: float
    fresh: float


CHANNELS = (
    ChannelPlan("seo", 17.5, 0.75, 1.0, 1.0, 0.72),
    ChannelPlan("direct", 11, 0.15, 1.0, 2.2, 0.22),
    ChannelPlan("referral", 4, 0.5, 0.8, 0.9, 0.75),
    ChannelPlan("social", 4, 0.2, 0.5, 0.5, 0.8),
    ChannelPlan("messenger", 2, 0.5, 1.1, 1.8, 0.35),
    ChannelPlan("email", 2, 0.25, 1.2, 1.2, 0.1),
    ChannelPlan("maps", 3, 1.1, 1.3, 1.6, 0.7),
    ChannelPlan("classified", 1.5, 0.6, 0.45, 1.2, 0.85),
)
DIRECT_SHARE = 55.0  # per cent of visits that are clicks of Direct
OFFLINE_SALE = {"maps": 1.25, "classified": 0.4, "offline": 0.6, "direct": 1.0}

STATIC_NUMBERS = (
    StaticNumber("74950000101", "avito", "classified", "Авито", "classified"),
    StaticNumber("74950000102", "yandex_maps", "maps", "Яндекс Карты", "maps"),
    StaticNumber("74950000103", "2gis", "maps", "2ГИС", "maps"),
    StaticNumber("74950000104", "radio", "offline", "Радио", "offline"),
    StaticNumber("74950000105", "vehicles", "offline", "Борта «Газелей»", "offline"),
    StaticNumber("78000000106", "8-800", "direct", "8-800 на визитках", "direct"),
)
STATIC_WEIGHTS = (30, 26, 14, 8, 7, 15)
POOL_NUMBERS = tuple(f"7495000{n:04d}" for n in range(301, 331))
OFFICE_NUMBER = "74950000100"  # where pool numbers ring; also seen as a caller
# A business centre's exchange: many people call from it, so it is nobody's number.
SWITCHBOARD = "74950000200"
PLACEHOLDERS = ("+7 900 000-00-00", "8 999 000 00 00")

MANAGERS = (
    Manager(11, "Ольга", "Климова"),
    Manager(12, "Артём", "Фёдоров"),
    Manager(13, "Наталья", "Щукина"),
    Manager(14, "Денис", "Королёв"),
    Manager(15, "Гульнара", "Ахметова"),
    Manager(1, "Администратор", "Портала"),
)
CATEGORIES = (
    Category(0, "Окна под ключ", 10, True),
    Category(2, "Дизайнеры и застройщики", 20, False),
)

# (entity, status, name, semantics): sort is the place in the list x 10
_LEADS = (
    ("NEW", "Не обработан", None),
    ("IN_PROCESS", "В работе", None),
    ("UC_QUALIF", "Квалифицирован", None),
    ("CONVERTED", "Качественный лид", "S"),
    ("JUNK", "Некачественный лид", "F"),
    ("UC_SPAM", "Спам", "F"),
    ("UC_DOUBLE", "Дубль", "F"),
    ("UC_TEST", "Тестовая заявка", "F"),
)
_SOURCES = (
    ("CALL", "Звонок", None),
    ("WEB", "Заявка с сайта", None),
    ("UC_CHAT", "Чат и мессенджеры", None),
    ("EMAIL", "Электронная почта", None),
    ("RECOMMENDATION", "Существующий клиент", None),
    ("TRADE_SHOW", "Выставочный зал", None),
    ("OTHER", "Другое", None),
)
_STAGES = (
    ("NEW", "Новая", None),
    ("PREPARATION", "Замер", None),
    ("PREPAYMENT_INVOICE", "Договор и предоплата", None),
    ("EXECUTING", "Производство", None),
    ("FINAL_INVOICE", "Доставка и монтаж", None),
    ("WON", "Сделка успешна", "S"),
    ("LOSE", "Сделка провалена", "F"),
    ("APOLOGY", "Отказ: анализ причины", "F"),
)
_COLORS = {None: "#39A8EF", "S": "#7BD500", "F": "#FF5752"}


def statuses() -> list[Status]:
    """The CRM's dictionaries: lead statuses, sources, stages of both funnels."""
    groups: list[tuple[str, str, int | None, tuple[tuple[str, str, str | None], ...]]]
    groups = [
        ("STATUS", "", None, _LEADS),
        ("SOURCE", "", None, _SOURCES),
        ("DEAL_STAGE", "", 0, _STAGES),
        ("DEAL_STAGE_2", "C2:", 2, _STAGES),
    ]
    rows: list[Status] = []
    for entity, prefix, category, items in groups:
        for place, (code, name, semantics) in enumerate(items, start=1):
            rows.append(
                Status(
                    101 + 2 * len(rows),
                    entity,
                    prefix + code,
                    name,
                    place * 10,
                    semantics,
                    category,
                    _COLORS[semantics],
                )
            )
    return rows


@dataclass(frozen=True)
class Firm:
    """One firm's profile: everything the generator must know of it but chance.

    `share` is its size beside msk's, `ad_share` the per cent of visits that are clicks
    of ads. `mobiles` are the +7 prefixes of its people, then come the tails of
    +7 `more[0]` in the range `more[1:]`. `mark` keeps its e-mails and persons apart from
    other firms'. `one_record`: its CRM has leads that become deals, and a card for each
    from the beginning. `tracker`: its visits are a call tracker's sessions. `stages`
    gives the CRM's (pipeline, status, reason of the loss) for (entity, funnel, stage).
    """

    name: str
    site: str
    host: str
    counter_id: int
    site_id: int
    client_login: str
    where: str
    share: float
    cities: tuple[tuple[str, str, int], ...]
    city_words: tuple[str, ...]
    campaigns: tuple[CampaignPlan, ...]
    small_campaigns: tuple[int, ...]
    channels: tuple[ChannelPlan, ...]
    ad_share: float
    offline_sale: dict[str, float]
    static_numbers: tuple[StaticNumber, ...]
    static_weights: tuple[int, ...]
    pool_numbers: tuple[str, ...]
    office_number: str
    switchboard: str
    managers: tuple[Manager, ...]
    categories: tuple[Category, ...]
    statuses: tuple[Status, ...]
    mobiles: tuple[str, ...]
    more: tuple[str, int, int]
    landlines: str
    mark: str = ""
    one_record: bool = False
    tracker: bool = False
    first_call: int = 22700000
    first_lead: int = 1001
    first_contact: int = 501
    first_deal: int = 301
    stages: dict[tuple[str, int, str], tuple[int, str, tuple[str, ...]]] = field(
        default_factory=dict
    )

    def stage(self, entity: str, funnel: int, code: str) -> tuple[int, str]:
        """The pipeline and the status a stage of the office's has in this CRM."""
        if not self.stages:
            return (funnel if entity == "deal" else 0), code
        return self.stages[(entity, funnel, code.rpartition(":")[2])][:2]

    def loss_reason(self, entity: str, funnel: int, code: str, number: int) -> str:
        """Why a lead or deal that ended so was lost, '' where the CRM keeps no list."""
        if not self.stages:
            return ""
        reasons = self.stages[(entity, funnel, code.rpartition(":")[2])][2]
        return reasons[number % len(reasons)] if reasons else ""


MSK_FIRM = Firm(
    name=MSK,
    site=SITE,
    host=HOST,
    counter_id=COUNTER_ID,
    site_id=SITE_ID,
    client_login=CLIENT_LOGIN,
    where="Москве и области",
    share=1.0,
    cities=CITIES,
    city_words=CITY_WORDS,
    campaigns=CAMPAIGNS,
    small_campaigns=SMALL_CAMPAIGNS,
    channels=CHANNELS,
    ad_share=DIRECT_SHARE,
    offline_sale=OFFLINE_SALE,
    static_numbers=STATIC_NUMBERS,
    static_weights=STATIC_WEIGHTS,
    pool_numbers=POOL_NUMBERS,
    office_number=OFFICE_NUMBER,
    switchboard=SWITCHBOARD,
    managers=MANAGERS,
    categories=CATEGORIES,
    statuses=tuple(statuses()),
    mobiles=("900000", "999000"),
    more=("9000", 10000, 1_000_000),
    landlines="495000",
)
