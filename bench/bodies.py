"""Vendors' answers of any size, made beforehand; equal for equal arguments."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_DAY = date(2026, 4, 1)
DAYS = 28
PAGE = 1000
REPORT_COLUMNS = (
    "Date", "CampaignId", "AdGroupId", "AdId", "CriterionId", "Criterion",
    "CriterionType", "AdNetworkType", "Device", "Impressions", "Clicks", "Cost",
)  # fmt: skip
_VISIT_FIELDS = (
    "visitID counterID watchIDs date dateTime dateTimeUTC isNewUser startURL endURL "
    "pageViews visitDuration bounce clientID regionCountry regionCity "
    "deviceCategory referer goalsID goalsDateTime lastTrafficSource lastAdvEngine "
    "lastReferalSource lastSearchEngine lastSocialNetwork lastDirectClickOrder "
    "lastDirectBannerGroup lastDirectClickBanner lastDirectPhraseOrCond UTMSource "
    "UTMMedium UTMCampaign UTMContent UTMTerm lastGCLID"
)
VISIT_COLUMNS = tuple("ym:s:" + name for name in _VISIT_FIELDS.split())
_PHRASE = "купить диван угловой недорого москва доставка цена каталог отзывы фото"
_WORDS = _PHRASE.split()


def _shuffled(count: int, seed: int) -> list[int]:
    order = list(range(count))
    random.Random(seed).shuffle(order)  # noqa: S311
    return order


def report_rows(count: int) -> Iterator[str]:
    """Rows of a keyword report: by day, within a day in no order."""
    dice = random.Random(1)  # noqa: S311
    per_day = count // DAYS + 1
    for day in range(DAYS):
        printed = (FIRST_DAY + timedelta(days=day)).isoformat()
        for key in _shuffled(min(per_day, count - day * per_day), day):
            words = " ".join(dice.choices(_WORDS, k=3))
            phrase = f'"{words}"' if key % 17 == 0 else words
            network = "SEARCH" if key % 3 else "AD_NETWORK"
            device = ("DESKTOP", "MOBILE", "TABLET")[key % 5 % 3]
            cost = "--" if key % 50 == 0 else f"{dice.randrange(100, 90_000) / 100:.2f}"
            yield (
                f"{printed}\t{70_000_000 + key % 60}\t{5_200_000_000 + key % 900}\t"
                f"{15_000_000_000 + key % 20_000}\t{30_000_000_000 + key}\t{phrase}\t"
                f"KEYWORD\t{network}\t{device}\t{dice.randrange(1, 3000)}\t"
                f"{dice.randrange(0, 60)}\t{cost}\n"
            )


def write_report(path: Path, count: int) -> None:
    """A report as the Reports API gives it: columns, rows, their number."""
    with path.open("w", encoding="utf-8") as file:
        file.write("\t".join(REPORT_COLUMNS) + "\n")
        file.writelines(report_rows(count))
        file.write(f"Total rows: {count}\n")


def visit_rows(count: int) -> Iterator[str]:
    """Rows of a log of visits, about 1.1 KB as JSON."""
    dice = random.Random(2)  # noqa: S311
    start = datetime.combine(FIRST_DAY, datetime.min.time(), tzinfo=UTC)
    step = DAYS * 86_400 / max(count, 1)
    for key in range(count):
        moment = start + timedelta(seconds=int(key * step))
        at = f"{moment:%Y-%m-%d %H:%M:%S}"
        campaign, group, ad = key % 60, key % 900, key % 20_000
        phrase = " ".join(dice.choices(_WORDS, k=3))
        yclid = dice.randrange(10**18, 10**19)
        url = (
            f"https://shop.example/catalog/{key % 700}/?utm_source=yandex&utm_medium=cpc"
            f"&utm_campaign=campaign_{campaign}&utm_content=gb:{group}_ad:{ad}"
            f"&utm_term={phrase.replace(' ', '+')}&yclid={yclid}"
        )
        if key % 200 == 0:
            url += f"&phone=%2B7900000{key % 10_000:04}"
        yield (
            "\t".join(
                (
                    str(7_100_000_000_000_000_000 + key * 1_000_003),
                    "50001",
                    f"[{dice.randrange(10**18)},{dice.randrange(10**18)}]",
                    at[:10],
                    at,
                    at,
                    str(key % 2),
                    url,
                    f"https://shop.example/thanks/?from={key % 700}",
                    str(1 + key % 9),
                    str(dice.randrange(5, 900)),
                    str(int(key % 4 == 0)),
                    str(dice.randrange(10**17, 10**18)),
                    "Russia",
                    "Moscow" if key % 3 else "Saint Petersburg",
                    "1" if key % 2 else "2",
                    "https://yandex.ru/",
                    "[40000001,40000002]" if key % 10 == 0 else "[]",
                    rf"[\'{at}\',\'{at}\']" if key % 10 == 0 else "[]",
                    "ad",
                    "ya_direct",
                    "",
                    "",
                    "",
                    str(70_000_000 + campaign),
                    str(5_200_000_000 + group),
                    str(15_000_000_000 + ad),
                    phrase,
                    "yandex",
                    "cpc",
                    f"campaign_{campaign}",
                    f"gb:{group}_ad:{ad}",
                    phrase.replace(" ", "+"),
                    "",
                )
            )
            + "\n"
        )


def write_visits(path: Path, count: int) -> None:
    """One part of a log."""
    with path.open("w", encoding="utf-8") as file:
        file.write("\t".join(VISIT_COLUMNS) + "\n")
        file.writelines(visit_rows(count))


def call(key: int, dice: random.Random, count: int) -> dict[str, Any]:
    """A call, about 2 KB as JSON; three of five callers have called before."""
    seconds = int((key + 0.5) * DAYS * 86_400 / count)
    at = datetime.combine(FIRST_DAY, datetime.min.time(), tzinfo=UTC)
    at += timedelta(seconds=seconds)  # of Moscow, three hours before it in UTC
    printed = f"{at:%d/%m/%Y %H:%M:%S}"
    caller = f"7900{dice.randrange(max(count * 3 // 5, 1)):07}"
    campaign = f"campaign_{key % 60}"
    phrase = " ".join(dice.choices(_WORDS, k=3))
    url = (
        f"https://shop.example/catalog/{key % 700}/?utm_source=yandex&utm_medium=cpc"
        f"&utm_campaign={campaign}&yclid={dice.randrange(10**18, 10**19)}"
    )
    said = [
        {
            "channel": turn % 2,
            "time": f"00:{turn:02}",
            "message": f"{phrase}, да, {turn}",
        }
        for turn in range(4)
    ]
    if key % 25 == 0:
        said.append({"channel": 0, "time": "00:09", "message": f"мой номер {caller}"})
    return {
        "callId": 1_900_000_000 + key, "callphase": "calldisconnected", "attribution": 1,
        "callTags": [{"category": "AUTO-PR", "type": "AUTO", "names": ["Целевой", phrase]}],
        "date": printed, "duration": dice.randrange(5, 900), "callerNumber": caller,
        "redirectNumber": f"sip:7495000{key % 40:04}@203.0.113.7",
        "phoneNumber": f"7495000{key % 40:04}", "manager": f"Менеджер {key % 12}",
        "successful": key % 5 > 0, "uniqueCall": key % 2 == 0, "targetCall": key % 3 == 0,
        "uniqTargetCall": key % 6 == 0, "callbackCall": False, "city": "moscow",
        "source": "yandex", "medium": "cpc", "keyword": phrase, "url": url, "callUrl": url,
        "ref": "https://yandex.ru/", "hostname": "shop.example", "utmSource": "yandex",
        "utmMedium": "cpc", "utmCampaign": campaign, "utmContent": f"ad:{key % 20_000}",
        "utmTerm": phrase, "sessionId": 600_000_000 + key,
        "ctCallerId": f"{dice.getrandbits(128):032x}",
        "clientId": f"{dice.randrange(10**9)}.{1_790_000_000 + key}",
        "yaClientId": str(dice.randrange(10**17, 10**18)), "sipCallId": f"sip-{key}",
        "userAgent": "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like "
        "Gecko) Chrome/126.0.0.0 Mobile Safari/537.36", "ip": f"203.0.113.{key % 250}",
        "waitingConnect": dice.randrange(1, 40),
        "callReferenceId": f"{1_790_000_000 + key}.{key}", "mapVisits": None, "attrs": [],
        "comments": [{"commentId": key, "comment": phrase, "partyId": 1, "partyName": "x"}],
        "phrases": said, "additionalTags": [], "callClientUniqueId": key,
        "device": "smartphone", "os": "Android", "browser": "Chrome Mobile",
        "timestamp": int(at.timestamp()) - 3 * 3600, "sessionDate": printed, "orders": [],
        "order": None,
        "yandexDirect": {"campaignId": 70_000_000 + key % 60, "adGroupId": key % 900,
                         "adId": key % 20_000, "criteriaId": 30_000_000_000 + key},
        "googleAdWords": None, "siteId": 50001, "siteName": "shop.example",
        "callbackInfo": None, "ctClientId": 800_000_000_000_000_000 + key,
        "ctGlobalId": 900_000_000_000_000_000 + key,
    }  # fmt: skip


def write_calls(path: Path, count: int) -> list[tuple[int, int]]:
    """Pages of the calls journal in one file; returns where each is and its length."""
    dice = random.Random(3)  # noqa: S311
    pages = (count + PAGE - 1) // PAGE
    places = []
    with path.open("wb") as file:
        for page in range(pages):
            keys = range(page * PAGE, min((page + 1) * PAGE, count))
            body = orjson.dumps(
                {
                    "page": page + 1,
                    "pageTotal": pages,
                    "pageSize": PAGE,
                    "recordsTotal": count,
                    "records": [call(key, dice, count) for key in keys],
                }
            )
            places.append((file.tell(), len(body)))
            file.write(body)
    return places
