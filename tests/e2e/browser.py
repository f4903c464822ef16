"""Looks at Superset and Airflow with a real browser; runs in the developers' environment.

`browser.py superset URL USER PASSWORD OUT.png` logs in, opens the overview dashboard,
waits for every chart and prints JSON: what each chart's data request answered, the
text of each chart and the errors seen. `browser.py airflow URL USER PASSWORD OUT.png`
opens a DAG run's page and prints its text.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from playwright.sync_api import Page, Response, sync_playwright

CHROMIUM = "/usr/bin/chromium"
# nothing of the browser's own may leave the machine
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def superset(
    page: Page, url: str, user: str, password: str, out: str
) -> dict[str, Any]:
    """Open the dashboard; returns {"data": [...], "charts": {...}, "errors": [...]}."""
    data: list[dict[str, Any]] = []

    def remember(response: Response) -> None:
        if "/api/v1/chart/data" in response.url and response.request.method == "POST":
            seen: dict[str, Any] = {"status": response.status}
            form = json.loads(response.request.post_data or "{}").get("form_data", {})
            seen["slice_id"] = form.get("slice_id")
            if response.ok:
                results = response.json()["result"]
                seen["rows"] = max(len(result["data"]) for result in results)
            data.append(seen)

    page.on("response", remember)
    page.goto(f"{url}/login/")
    page.locator("#username").fill(user)
    page.locator("#password").fill(password)
    page.locator("button[type=submit], input[type=submit]").first.click()
    page.wait_for_url(lambda address: "/login" not in address)
    page.goto(f"{url}/superset/dashboard/overview/")
    page.wait_for_selector(".dashboard-component-chart-holder", timeout=90_000)
    charts = page.locator(".dashboard-component-chart-holder")
    for number in range(charts.count()):
        # charts below the fold are drawn when they are scrolled to
        charts.nth(number).scroll_into_view_if_needed()
        page.wait_for_timeout(250)
    page.wait_for_load_state("networkidle")
    page.wait_for_function("document.querySelectorAll('.loading').length === 0")
    page.wait_for_timeout(2_000)
    errors = page.locator(
        '[data-test="alert"], .ant-alert-error, .missing-chart-container'
    )
    texts = {}
    for number in range(charts.count()):
        chart = charts.nth(number)
        title = chart.locator('[data-test="editable-title"], .header-title').first
        texts[title.inner_text().strip()] = chart.inner_text()
    page.evaluate("window.scrollTo(0, 0)")
    height = page.evaluate(
        "Math.max(...[...document.querySelectorAll('*')].map(e => e.scrollHeight))"
    )
    page.set_viewport_size({"width": 1500, "height": min(int(height) + 40, 4000)})
    page.wait_for_timeout(1_500)
    page.screenshot(path=out)
    return {
        "data": data,
        "charts": texts,
        "errors": [errors.nth(n).inner_text() for n in range(errors.count())],
    }


def airflow(page: Page, url: str, user: str, password: str, out: str) -> dict[str, Any]:
    """Open a DAG run's page; returns {"text": …}."""
    page.goto(url)
    page.locator("input[name=username]").fill(user)
    page.locator("input[name=password]").fill(password)
    page.locator("button[type=submit]").click()
    page.wait_for_url(lambda address: "login" not in address)
    page.goto(url)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(3_000)
    page.screenshot(path=out)
    return {"text": page.locator("body").inner_text()}


def main() -> None:
    """Command line: what, URL, user, password, where to save the screenshot."""
    what, url, user, password, out = sys.argv[1:6]
    look = {"superset": superset, "airflow": airflow}[what]
    locale = {"superset": "ru-RU", "airflow": "en-US"}[what]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=ARGUMENTS, headless=True
        )
        page = browser.new_page(viewport={"width": 1500, "height": 1000}, locale=locale)
        seen = look(page, url, user, password, out)
        browser.close()
    json.dump(seen, sys.stdout, ensure_ascii=False)


if __name__ == "__main__":
    main()
