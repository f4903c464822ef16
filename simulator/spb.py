"""«Тёплый контур Север»: the group's firm in St Petersburg, as fixed lists.

It buys Google, Meta and VK, counts visitors and calls with one tracker and works in a
CRM where a request and a deal are one record that moves along a pipeline.
"""

from __future__ import annotations

from simulator.catalogue import CampaignPlan, ChannelPlan, Firm
from simulator.world import SPB, Category, Manager, StaticNumber, Status

SITE = "https://kontur-sever.example"

_PLACES = ("", "цена", "спб", "под ключ", "недорого", "от производителя")
CAMPAIGNS = (
    CampaignPlan(
        name="g | search | Окна ПВХ | СПб",
        type="SEARCH",
        network="SEARCH",
        clicks=18,
        click_price=112,
        effect=1.0,
        sale=1.1,
        ticket=1.0,
        margin=0.34,
        nearness=1.0,
        fresh=0.82,
        links="ids",
        path="okna",
        bases=("пластиковые окна", "окна пвх", "купить окна", "окна с установкой"),
        modifiers=(*_PLACES, "в рассрочку", "отзывы"),
        platform="google_ads",
    ),
    CampaignPlan(
        name="g | search | Балконы 🏙 лоджии",
        type="SEARCH",
        network="SEARCH",
        clicks=11,
        click_price=96,
        effect=1.1,
        sale=1.3,
        ticket=1.15,
        margin=0.36,
        nearness=1.0,
        fresh=0.82,
        links="ids",
        path="balkony",
        bases=("остекление балконов", "остекление лоджии", "тёплый балкон"),
        modifiers=(*_PLACES, "хрущёвка", "с отделкой"),
        platform="google_ads",
    ),
    CampaignPlan(
        name="g | search | Бренд «Контур Север»",
        type="SEARCH",
        network="SEARCH",
        clicks=5,
        click_price=22,
        effect=0.12,
        sale=1.4,
        ticket=1.0,
        margin=0.35,
        nearness=2.6,
        fresh=0.3,
        links="group",
        path="",
        bases=("контур север", "тёплый контур север"),
        modifiers=("", "отзывы", "телефон", "сайт", "адрес"),
        platform="google_ads",
    ),
    CampaignPlan(
        name="g | КМС | Окна, интересы",
        type="DISPLAY",
        network="DISPLAY",
        clicks=9,
        click_price=12,
        effect=0.2,
        sale=0.6,
        ticket=0.9,
        margin=0.33,
        nearness=0.6,
        fresh=0.92,
        links="ids",
        path="okna",
        bases=("новые окна", "ремонт квартиры"),
        modifiers=("", "скидки", "идеи", "цена"),
        platform="google_ads",
    ),
    CampaignPlan(
        name='g | КМС | Ремаркетинг "смотрели цены"',
        type="DISPLAY",
        network="DISPLAY",
        clicks=3,
        click_price=17,
        effect=0.06,
        sale=1.0,
        ticket=1.0,
        margin=0.34,
        nearness=1.9,
        fresh=0.03,
        links="ids",
        path="akcii",
        bases=(),
        modifiers=(),
        audience="Смотрели цены, 30 дней",
        platform="google_ads",
    ),
    CampaignPlan(
        name="FB_IG_Лиды_Окна_широкая",
        type="OUTCOME_LEADS",
        network="META",
        clicks=12,
        click_price=31,
        effect=0.4,
        sale=0.7,
        ticket=0.95,
        margin=0.33,
        nearness=0.8,
        fresh=0.92,
        links="ids",
        path="okna",
        bases=("Широкая 25–55", "Похожие 3% на покупателей", "Интерес: ремонт"),
        modifiers=(),
        platform="meta_ads",
        sides=("facebook", "instagram"),
    ),
    CampaignPlan(
        name="FB_IG_Ретаргетинг_каталог",
        type="OUTCOME_SALES",
        network="META",
        clicks=4,
        click_price=38,
        effect=0.08,
        sale=1.0,
        ticket=1.0,
        margin=0.34,
        nearness=1.8,
        fresh=0.05,
        links="ids",
        path="akcii",
        bases=("Были на сайте, 14 дней",),
        modifiers=(),
        platform="meta_ads",
        sides=("instagram", "facebook"),
        started_days_before=60,
    ),
    CampaignPlan(
        name="VK / Лид-формы / Балконы / СПб + ЛО",
        type="site_conversions",
        network="vk",
        clicks=9,
        click_price=27,
        effect=0.35,
        sale=0.8,
        ticket=1.1,
        margin=0.35,
        nearness=0.8,
        fresh=0.92,
        links="ids",
        path="balkony",
        bases=("Сообщества о ремонте", "Новосёлы", "Ключевые фразы: балкон"),
        modifiers=(),
        platform="vk_ads",
        sides=("vk",),
    ),
    CampaignPlan(
        name="VK / Охват\u00a0/ Окна",
        type="site_conversions",
        network="vk",
        clicks=5,
        click_price=19,
        effect=0.12,
        sale=0.5,
        ticket=0.9,
        margin=0.33,
        nearness=0.5,
        fresh=0.95,
        links="names",
        path="okna",
        bases=("Вся область 30+",),
        modifiers=(),
        platform="vk_ads",
        sides=("vk",),
        started_days_before=30,
    ),
)
SMALL_CAMPAIGNS = (0, 1, 3, 5, 7)

CHANNELS = (
    ChannelPlan("seo", 14, 0.75, 1.0, 1.0, 0.72),
    ChannelPlan("direct", 10, 0.15, 1.0, 2.2, 0.22),
    ChannelPlan("referral", 4, 0.5, 0.8, 0.9, 0.75),
    ChannelPlan("social", 6, 0.25, 0.5, 0.6, 0.8),
    ChannelPlan("messenger", 3, 0.5, 1.1, 1.8, 0.35),
    ChannelPlan("email", 1, 0.25, 1.2, 1.2, 0.1),
    ChannelPlan("maps", 3, 1.1, 1.3, 1.6, 0.7),
    ChannelPlan("classified", 1.5, 0.6, 0.45, 1.2, 0.85),
)

CITIES = (
    ("Санкт-Петербург", "saint-petersburg", 72),
    ("Всеволожск", "vsevolozhsk", 6),
    ("Гатчина", "gatchina", 6),
    ("Пушкин", "pushkin", 6),
    ("Колпино", "kolpino", 5),
    ("Выборг", "vyborg", 5),
)
CITY_WORDS = (
    "спб",
    "питер",
    "всеволожск",
    "гатчина",
    "пушкин",
    "колпино",
    "выборг",
    "мурино",
    "кудрово",
    "сестрорецк",
    "петергоф",
    "купчино",
)

STATIC_NUMBERS = (
    StaticNumber("78120000101", "avito", "classified", "Авито", "classified"),
    StaticNumber("78120000102", "yandex_maps", "maps", "Яндекс Карты", "maps"),
    StaticNumber("78120000103", "2gis", "maps", "2ГИС", "maps"),
    StaticNumber("78120000104", "leaflets", "offline", "Листовки", "offline"),
    StaticNumber("78120000105", "signboard", "direct", "Вывеска офиса", "direct"),
)
STATIC_WEIGHTS = (26, 30, 14, 14, 16)
POOL_NUMBERS = tuple(f"7812000{n:04d}" for n in range(301, 313))

MANAGERS = (
    Manager(8200011, "Ирина", "Соколова"),
    Manager(8200012, "Павел", "Ершов"),
    Manager(8200013, "Лариса", "Юдина"),
    Manager(8200014, "Семён", "Быков"),
    Manager(8200015, "Дарья", "Воронова"),
    Manager(8200001, "Администратор", "Аккаунта"),
)

PIPELINE, DESIGNERS = 7100011, 7100029
CATEGORIES = (
    Category(PIPELINE, "Окна и балконы", 1, True),
    Category(DESIGNERS, "Дизайнеры", 2, False),
)
WON, LOST = "142", "143"
# (code of the office, name): the stages of a pipeline in order; the first ones are
# those of a request, from "deal" on it is a deal.
_REQUEST = (
    ("unsorted", "Неразобранное"),
    ("NEW", "Новая заявка"),
    ("IN_PROCESS", "Взяли в работу"),
    ("UC_QUALIF", "Квалифицирован"),
)
_DEAL = (
    ("NEW", "Замер назначен"),
    ("PREPARATION", "Замер проведён"),
    ("PREPAYMENT_INVOICE", "Договор и предоплата"),
    ("EXECUTING", "Производство"),
    ("FINAL_INVOICE", "Монтаж"),
)
_BAD_REQUEST = {
    "JUNK": ("Не наш клиент", "Не дозвонились", "Только цена"),
    "UC_SPAM": ("Спам",),
    "UC_DOUBLE": ("Дубль",),
    "UC_TEST": ("Тест",),
}
_BAD_DEAL = {
    "LOSE": ("Дорого", "Купили у других", "Передумали", "Дорого"),
    "APOLOGY": ("Не подошли сроки",),
}


def _first_status(pipeline: int) -> int:
    return 61_000_000 + pipeline % 1000 * 100


def _stages() -> dict[tuple[str, int, str], tuple[int, str, tuple[str, ...]]]:
    """(entity, funnel of the office, its stage) → pipeline, status, reasons of loss."""
    stages: dict[tuple[str, int, str], tuple[int, str, tuple[str, ...]]] = {}
    for funnel, pipeline in ((0, PIPELINE), (2, DESIGNERS)):
        first = _first_status(pipeline)
        for place, (code, _) in enumerate(_REQUEST):
            stages[("lead", funnel, code)] = (pipeline, str(first + place), ())
        begin = str(first + len(_REQUEST))
        stages[("lead", funnel, "CONVERTED")] = (pipeline, begin, ())
        for place, (code, _) in enumerate(_DEAL, start=len(_REQUEST)):
            stages[("deal", funnel, code)] = (pipeline, str(first + place), ())
        stages[("deal", funnel, "WON")] = (pipeline, WON, ())
        for entity, bad in (("lead", _BAD_REQUEST), ("deal", _BAD_DEAL)):
            for code, reasons in bad.items():
                stages[(entity, funnel, code)] = (pipeline, LOST, reasons)
    return stages


def _statuses() -> tuple[Status, ...]:
    rows: list[Status] = []
    for category in CATEGORIES:
        pipeline = category.category_id
        first = _first_status(pipeline)
        named: list[tuple[str, str, str | None]] = [
            (str(first + place), name, None)
            for place, (_, name) in enumerate((*_REQUEST, *_DEAL))
        ]
        named += [(WON, "Успешно реализовано", "S")]
        named += [(LOST, "Закрыто и не реализовано", "F")]
        for place, (status, name, semantics) in enumerate(named, start=1):
            color = {None: "#99ccff", "S": "#CCFF66", "F": "#D5D8DB"}[semantics]
            rows.append(
                Status(
                    len(rows) + 1,
                    f"PIPELINE_{pipeline}",
                    status,
                    name,
                    place * 10,
                    semantics,
                    pipeline,
                    color,
                )
            )
    return tuple(rows)


def deal_stages(pipeline: int) -> tuple[str, ...]:
    """The statuses of a pipeline in which a record is a deal, the last two its ends."""
    first = _first_status(pipeline) + len(_REQUEST)
    return (*(str(first + place) for place in range(len(_DEAL))), WON, LOST)


SPB_FIRM = Firm(
    name=SPB,
    site=SITE,
    host="kontur-sever.example",
    counter_id=90000002,
    site_id=60001,
    client_login="kontur-sever",
    where="Петербурге и области",
    share=0.3,
    cities=CITIES,
    city_words=CITY_WORDS,
    campaigns=CAMPAIGNS,
    small_campaigns=SMALL_CAMPAIGNS,
    channels=CHANNELS,
    ad_share=57.0,
    offline_sale={"maps": 1.25, "classified": 0.4, "offline": 0.6, "direct": 1.0},
    static_numbers=STATIC_NUMBERS,
    static_weights=STATIC_WEIGHTS,
    pool_numbers=POOL_NUMBERS,
    office_number="78120000100",
    switchboard="78120000200",
    managers=MANAGERS,
    categories=CATEGORIES,
    statuses=_statuses(),
    mobiles=("999001", "999002"),
    more=("9990", 30_000, 500_000),
    landlines="812000",
    mark="s",
    one_record=True,
    tracker=True,
    first_call=410_000_021,
    first_lead=30_500_017,
    first_contact=41_200_011,
    first_deal=30_500_017,
    stages=_stages(),
)
