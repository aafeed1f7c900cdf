"""The pages in a real browser: Chromium, without a window and without a network."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lrbench.analysis import Question, summarise
from lrbench.report.html import compare_page, find_page
from tests.analysis.made import finals
from tests.report.find_results import found
from tests.report.hostile import NAMES
from tests.report.html.made import MANIFEST, several

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    names = {name: [0.9, 0.8] for name in (*NAMES, "<img src=x onerror=alert(1)>") if name}
    made = {
        "compare": compare_page(several(), MANIFEST, "scheduler = ..."),
        "find": find_page(found(), MANIFEST),
        "hostile": compare_page(summarise(finals(names), Question()), MANIFEST),
    }
    for name, text in made.items():
        (folder / f"{name}.html").write_text(text, encoding="utf-8")
    return {name: folder / f"{name}.html" for name in made}


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def open_page(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Opens a page; at the end nothing may have been said on the console, asked or fetched."""
    said: list[str] = []
    contexts = []

    def opened(name: str, **settings: Any) -> Any:
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.on("request", lambda request: said.append(request.url) if seen(request.url) else None)
        page.goto(pages[name].as_uri())
        return page

    def seen(url: str) -> bool:
        return not url.startswith(("file:", "data:"))

    yield opened
    for context in contexts:
        context.close()
    assert said == []


def names_of(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".ranking tbody .schedule").all_inner_texts()]


def test_a_click_on_a_head_sorts_and_another_turns_it_around(open_page: Any) -> None:
    page = open_page("compare")
    best_first = ["cosine", "linear", "step"]
    head = page.locator(".ranking th", has_text="schedule")
    accuracy = page.locator(".ranking th", has_text="test accuracy")
    assert names_of(page) == best_first
    head.click()
    assert names_of(page) == best_first
    head.click()
    assert names_of(page) == best_first[::-1] and head.get_attribute("aria-sort") == "descending"
    accuracy.click()
    assert names_of(page) == best_first[::-1]
    accuracy.focus()
    page.keyboard.press("Enter")
    assert names_of(page) == best_first


@pytest.mark.long
def test_missing_values_sort_last_either_way(open_page: Any) -> None:
    page = open_page("compare")
    for _ in range(2):
        page.locator(".ranking th", has_text="p (all pairs)").click()
        assert page.locator(".ranking tbody .p_adjusted").all_inner_texts()[-1] == "·"


@pytest.mark.long
def test_a_series_is_switched_off_in_every_chart_and_on_again(open_page: Any) -> None:
    page = open_page("compare")
    lines, others = (page.locator(f"svg.chart g.{series}") for series in ("s0", "s1"))
    visible = "all => all.filter(e => getComputedStyle(e).display !== 'none').length"
    assert page.locator("svg.chart").count() == 6
    assert lines.evaluate_all(visible) == lines.count() >= 2 * 6 - 1
    button = page.locator(".legend button", has_text="cosine")
    button.click()
    assert lines.evaluate_all(visible) == 0 < others.evaluate_all(visible)
    assert button.get_attribute("aria-pressed") == "false"
    button.click()
    assert lines.evaluate_all(visible) == lines.count()


@pytest.mark.long
def test_a_double_click_leaves_one_series_alone(open_page: Any) -> None:
    page = open_page("compare")
    page.locator(".legend button", has_text="linear").dblclick()
    pressed = [each.get_attribute("aria-pressed") for each in page.locator(".legend button").all()]
    assert pressed == ["false", "true", "false"]


@pytest.mark.long
def test_hovering_over_a_point_says_its_value(open_page: Any) -> None:
    page = open_page("compare", viewport={"width": 1200, "height": 900})
    chart = page.locator("svg.chart").first
    chart.scroll_into_view_if_needed()
    spot = chart.locator("circle.spot.s0").first.bounding_box()
    page.mouse.move(spot["x"] + spot["width"] / 2 + 3, spot["y"] + spot["height"] / 2)
    tip = page.locator("#tip")
    assert tip.is_visible() and tip.inner_text() == "cosine: seeds 97.00 %, 97.20 %, 97.40 %"
    page.mouse.move(2, 2)
    assert not tip.is_visible()


@pytest.mark.long
@pytest.mark.parametrize("name", ["compare", "find", "hostile"])
@pytest.mark.parametrize("width", [360, 800, 1600])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_overflows(open_page: Any, name: str, width: int, scheme: str) -> None:
    page = open_page(name, viewport={"width": width, "height": 700}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    beyond = """all => all.filter(e => e.getBoundingClientRect().right > innerWidth + 1
        && !e.closest('.scroll') && !e.closest('svg')).map(e => e.outerHTML.slice(0, 200))"""
    assert page.locator("main *").evaluate_all(beyond) == []


@pytest.mark.long
def test_dark_and_light_differ_and_paper_is_light(open_page: Any) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    assert open_page("compare", color_scheme="light").evaluate(colour) == "rgb(255, 255, 255)"
    dark = open_page("compare", color_scheme="dark")
    assert dark.evaluate(colour) == "rgb(22, 24, 27)"
    text = "getComputedStyle(document.querySelector('svg.chart text')).fill"
    assert dark.evaluate(text) == "rgb(231, 232, 234)"
    dark.emulate_media(media="print", color_scheme="dark")
    assert dark.evaluate(colour) == "rgb(255, 255, 255)"


@pytest.mark.long
def test_without_javascript_all_of_it_is_there(open_page: Any) -> None:
    page = open_page("compare", java_script_enabled=False)
    assert names_of(page) == ["cosine", "linear", "step"]
    assert page.locator("svg.chart").first.is_visible()
    assert page.locator("svg.chart circle.spot title").first.text_content()


def test_hostile_names_are_text_and_run_nothing(open_page: Any) -> None:
    page = open_page("hostile")
    assert "<img src=x onerror=alert(1)>" in names_of(page)
    assert page.locator("main img").count() == 0
    page.locator(".legend button").first.click()
    page.locator(".ranking th", has_text="schedule").click()
