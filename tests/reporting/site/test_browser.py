"""The site in a browser: sorted, filtered, read and downloaded, without a request that leaves the folder."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from fuxi_plugins.reporting.site.build import write_site
from tests.reporting.site.make import ATTACK, whole

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
REQUIRED = os.environ.get("FUXIBENCH_BROWSER") == "required"  # as .ci/run sets it
pytestmark = pytest.mark.skipif(not ((CHROMIUM and DRIVER) or REQUIRED), reason="no chromium with its driver here")

PAGES = (  # one of each kind
    "index.html",
    "boards.html",
    "ledger.html",
    "boards/toy*.html",
    "models/Alpha*.html",
    "datasets/toy*.html",
    "runs/toy-Alpha-toy-1-*.html",
    "tuning_results.html",
    "paper/index.html",
)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    write_site(folder / "site", whole(folder))
    return folder / "site"


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "window-size=1280,900"):
        options.add_argument(f"--{argument}")
    options.add_argument(f"--user-data-dir={tmp_path_factory.mktemp('profile')}")
    downloads = tmp_path_factory.mktemp("downloads")
    options.add_experimental_option("prefs", {"download.default_directory": str(downloads)})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    driver.downloads = downloads
    driver.set_script_timeout(120)  # seconds; the checker of accessibility is slow where the machine is busy
    yield driver
    driver.quit()


@pytest.fixture
def page(browser, site):
    """Opens a page of the site; at the end, no page has complained or asked for anything outside the folder."""
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.get_log("performance")

    def open_(pattern):
        (path,) = site.glob(pattern)
        browser.get(path.as_uri())
        return browser

    yield open_
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    for entry in browser.get_log("performance"):
        message = json.loads(entry["message"])["message"]
        if message["method"] == "Network.requestWillBeSent":
            url = message["params"]["request"]["url"]
            assert url.startswith((site.as_uri(), "data:")), url


def names(browser):
    script = "return [...document.querySelectorAll('#board tbody tr')].filter(r => !r.hidden).map(r => r.dataset.name)"
    return browser.execute_script(script)


def css(browser, selector):
    return browser.find_elements("css selector", selector)


def test_a_table_is_sorted_by_a_click_and_by_the_keyboard(page):
    browser = page("boards/toy*.html")
    assert names(browser)[:4] == ["Alpha", "Beta", ATTACK, "Gamma"]
    button = next(b for b in css(browser, "#board thead button") if b.text.startswith("AUC"))
    button.click()
    assert names(browser)[0] == "Alpha"
    button.click()
    assert names(browser)[0] == "Gamma"
    header = button.find_element("xpath", "..")
    assert header.get_attribute("aria-sort") == "ascending"
    assert set(names(browser)[4:]) == {"Delta", "Omega"}  # what has no value comes last either way
    model = next(b for b in css(browser, "#board thead button") if b.text.startswith("Model"))
    model.send_keys("\ue007")  # Enter
    assert names(browser) == sorted(names(browser), key=str.lower)


def test_a_filter_is_set(page):
    browser = page("boards/toy*.html")
    (field,) = css(browser, ".filters input[type=search]")
    field.send_keys("alp")
    assert names(browser) == ["Alpha"]
    assert css(browser, "output")[0].text == "1 of 6 rows"
    field.send_keys(", GAM,")  # several names, and one that is not typed yet
    assert names(browser) == ["Alpha", "Gamma"]
    field.clear()
    field.send_keys(" ")
    css(browser, "input[type=checkbox]")[0].click()
    assert set(names(browser)) == {"Alpha", "Beta"}


def test_plots_and_intervals_are_seen(page):
    browser = page("boards/toy*.html")
    intervals, plots = css(browser, "svg.interval"), css(browser, "svg.plot")
    assert len(intervals) == 4
    assert len(plots) == 1 or len(plots) == 2
    assert all(svg.size["width"] > 100 and svg.size["height"] > 10 for svg in [*intervals, *plots])
    assert "95% interval" in intervals[0].get_attribute("aria-label")


def test_a_download_is_taken(page):
    browser = page("boards/toy*.html")
    link = next(a for a in css(browser, "a[download]") if a.text == "CSV")
    browser.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(browser.downloads)})
    link.click()
    deadline = time.monotonic() + 20
    while not (found := list(browser.downloads.glob("*.csv"))):
        assert time.monotonic() < deadline, "no file came"
        time.sleep(0.1)
    assert found[0].read_text().startswith("dataset,rank,display_name")


def test_a_hostile_name_is_text(page):
    browser = page("boards/toy*.html")
    assert ATTACK in css(browser, "#board")[0].text
    assert css(browser, "img") == []
    next(a for a in css(browser, "#board a") if a.text == ATTACK).click()
    assert css(browser, "h1")[0].text == ATTACK
    assert css(browser, "img") == []


def resize(browser, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 700}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


@pytest.mark.parametrize("width", [360, 390, 768, 1280])
def test_no_page_is_wider_than_its_window(page, browser, width):
    for pattern in PAGES:
        page(pattern)
        resize(browser, width)
        inner = browser.execute_script("return document.documentElement.scrollWidth")
        assert inner <= width, (pattern, inner)


def test_on_a_phone_the_menu_is_one_line_and_curves_are_whole(page, browser):
    for pattern in PAGES:
        page(pattern)
        resize(browser, 390)
        assert len({link.location["y"] for link in css(browser, ".top nav a")}) == 1, pattern
        curves = "[...document.querySelectorAll('.plot:has(.series)')]"
        cut = f"return {curves}.filter(curve => curve.clientWidth > curve.parentNode.clientWidth)"
        assert browser.execute_script(cut) == [], pattern
    assert css(page("tuning_results.html"), ".plot .series")


def test_the_table_of_a_text_about_the_site_is_aligned_and_scrolls(page, browser):
    page("index.html")
    resize(browser, 390)
    (box,) = css(browser, ".about .scroll")
    assert browser.execute_script("return arguments[0].scrollWidth > arguments[0].clientWidth", box)
    name, rows = css(browser, ".about td")
    assert [cell.value_of_css_property("text-align") for cell in (name, rows)] == ["left", "right"]


def luminance(colour) -> float:
    channels = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
    linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_both_colour_schemes_can_be_read(page):
    """Contrast of text, links and muted text against the page: WCAG's 4.5."""
    browser = page("boards/toy*.html")
    seen = set()
    for _ in range(2):
        style = "return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]"
        ground = browser.execute_script(style, "body", "backgroundColor")
        seen.add(ground)
        for selector in ("body", "#board a", ".muted", ".lead", "footer"):
            pair = sorted([luminance(ground), luminance(browser.execute_script(style, selector, "color"))])
            assert (pair[1] + 0.05) / (pair[0] + 0.05) >= 4.5, (selector, ground)
        css(browser, "button.theme")[0].click()
    assert len(seen) == 2


def test_the_keyboard_reaches_the_table_and_sees_where_it_is(page):
    browser = page("boards/toy*.html")
    reached = []
    for _ in range(40):
        browser.switch_to.active_element.send_keys("\ue004")  # Tab
        active = browser.switch_to.active_element
        reached.append((active.tag_name, active.get_attribute("class")))
        width = browser.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
        if active.tag_name in ("a", "button"):
            assert width == "3px"
    assert reached[0] == ("a", "skip")
    assert ("div", "scroll tall") in reached


def test_without_the_script_every_page_is_complete(page, browser):
    for pattern in PAGES:
        shown = css(page(pattern), "main")[0].text
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            browser.refresh()
            assert css(browser, "main")[0].text == shown, pattern
            assert not css(browser, "button.theme")[0].is_displayed()
            assert not css(browser, "form.find")[0].is_displayed()
        finally:
            browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def test_in_print_every_table_is_whole_and_what_was_folded_is_open(page, browser):
    for pattern in PAGES:
        page(pattern)
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        try:
            assert not any(form.is_displayed() for form in css(browser, "form")), pattern
            cut = """
                return [...document.querySelectorAll(".scroll")].filter(
                    box => getComputedStyle(box).overflowX != "visible" || getComputedStyle(box).maxHeight != "none")"""
            assert browser.execute_script(cut) == [], pattern
            folded = "return [...document.querySelectorAll('.unverified td')].filter(e => !e.checkVisibility())"
            assert browser.execute_script(folded) == [], pattern
        finally:
            browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_unverified_results_are_shown_when_that_is_asked(page):
    browser = page("boards/toy*.html")
    assert not css(browser, "#unverified")[0].is_displayed()
    css(browser, ".unverified summary")[0].send_keys("\ue007")  # Enter
    assert css(browser, "#unverified tbody")[0].text.startswith("Mailed unverified")
    assert "Mailed" not in css(browser, "#board")[0].text


def test_a_link_shows_what_was_sorted_and_filtered(page):
    browser = page("boards/toy*.html")
    next(b for b in css(browser, "#board thead button") if b.text.startswith("logloss")).click()
    assert names(browser)[0] == "Alpha"  # the lowest logloss is the best
    next(b for b in css(browser, "#board thead button") if b.text.startswith("logloss")).click()
    css(browser, "form.filters input[type=search]")[0].send_keys("e")
    shown, link = names(browser), browser.current_url
    assert shown[:2] == [ATTACK, "Beta"]
    assert "sort=logloss&order=descending&text=e" in link
    browser.get("about:blank")
    browser.get(link)
    assert names(browser) == shown
    assert css(browser, "output")[0].text == "4 of 6 rows"
    browser.get(link.partition("#")[0] + "#notes")  # a section's name is no filter
    assert len(names(browser)) == 6


def test_a_model_is_found_from_every_kind_of_page(page):
    for pattern in ("index.html", "runs/toy-Beta-toy-1-*.html"):
        browser = page(pattern)
        (field,) = css(browser, ".find input")
        field.send_keys("alph")
        assert [a.text for a in css(browser, ".find a")] == ["Alpha model"]
        field.send_keys("\ue007")  # Enter
        assert css(browser, "h1")[0].text == "Alpha"
    browser = page("index.html")
    css(browser, ".find input")[0].send_keys("toy")
    assert "toy dataset" in [a.text for a in css(browser, ".find a")]
    css(browser, ".find input")[0].send_keys("\ue00c")  # Escape
    assert css(browser, ".find a") == []


def test_a_table_is_copied(page):
    browser = page("boards/toy*.html")
    latex = css(browser, "details.copy")[1]
    latex.find_element("css selector", "summary").click()
    button = latex.find_element("css selector", "button")
    button.click()
    deadline = time.monotonic() + 10
    while button.text == "Copy":
        assert time.monotonic() < deadline, "nothing happened"
        time.sleep(0.05)
    assert button.text in ("Copied", "Selected: press Ctrl+C")
    if button.text != "Copied":
        assert "toprule" in browser.execute_script("return getSelection().toString()")


def test_on_a_phone_every_column_is_reached_and_the_names_stay(page, browser):
    tables = {
        "index.html": "#front",
        "boards/toy*.html": "#board",
        "ledger.html": "#ledger",
        "tuning_results.html": "table",
    }
    for pattern, table in tables.items():
        page(pattern)
        resize(browser, 390)
        seen = browser.execute_script(
            """
            const box = document.querySelector(arguments[0]).closest(".scroll");
            box.scrollLeft = box.scrollWidth;
            const row = box.querySelector("tbody tr:not([data-fixed])");
            const edge = box.getBoundingClientRect();
            const [name, last] = [row.querySelector(".name"), row.lastElementChild].map(e => e.getBoundingClientRect());
            return [name.left - edge.left, edge.right - last.right, name.width];
            """,
            table,
        )
        assert 0 <= seen[0] < 3, (pattern, "the name left")
        assert -2 < seen[1] < 3, (pattern, "the last column is not reached")
        assert seen[2] < 180


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_no_page_has_a_serious_barrier(page, browser, scheme, width):
    """By axe-core, the checker of accessibility; its rules are WCAG's."""
    checker = (Path(__file__).parent / "axe.min.js").read_text()
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    )
    try:
        for pattern in PAGES:
            page(pattern)
            resize(browser, width)
            browser.execute_script(checker)
            found = browser.execute_async_script("axe.run({preload: false}).then(arguments[0])")
            serious = [
                (one["id"], [node["html"][:200] for node in one["nodes"]])
                for one in found["violations"]
                if one["impact"] in ("serious", "critical")
            ]
            assert not serious, pattern
            assert len(found["passes"]) > 10
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})


def test_the_keyboard_reaches_every_control(page):
    """Tab goes through all that can be clicked, and never stays."""
    for pattern in PAGES:
        browser = page(pattern)
        script = """
            const all = "a[href], button, input, select, summary, [tabindex]";
            const seen = e => e.checkVisibility() && !e.closest("details:not([open]) > :not(summary)");
            return [...document.querySelectorAll(all)].filter(seen)"""
        expected = set(browser.execute_script(script))
        reached = set()
        for _ in range(3 * len(expected)):
            browser.switch_to.active_element.send_keys("\ue004")
            active = browser.switch_to.active_element
            if active in reached and active.tag_name == "a":
                break
            reached.add(active)
        assert expected <= reached, [e.get_attribute("outerHTML") for e in expected - reached]
