"""What many tests need: hypothesis without deadlines, the built book, a browser."""

import json
import os
import shutil

import pytest
from hypothesis import settings

from otprior_book import ROOT
from otprior_book.modules import module

settings.register_profile("otprior", deadline=None, derandomize=True)
settings.load_profile("otprior")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def book_html():
    """The folder of the built book."""
    html = ROOT / "_build" / "html"
    if not (html / "index.html").is_file():
        pytest.fail(f"{html} has no built book: run `make book` first", pytrace=False)
    return html


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium or Chrome of the system; OTPRIOR_BROWSER names another."""
    without = pytest.fail if os.environ.get("OTPRIOR_REQUIRE_BROWSER") == "1" else pytest.skip
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        without("no playwright: install the extra 'test'")
    candidates = (os.environ.get("OTPRIOR_BROWSER"), *BROWSERS)
    executable = next(filter(None, (shutil.which(name) for name in candidates if name)), None)
    if executable is None:
        without("no browser: install Chromium (Debian: apt-get install chromium) or set OTPRIOR_BROWSER to Chrome's path")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def widget_js(browser):
    """Call a named export of a widget: `widget_js("giraffe", "alpha", 1.0)` is what JavaScript returns."""
    page = browser.new_page()

    def call(widget, function, *arguments):
        script = """async ([module, name, values]) => {
            const url = URL.createObjectURL(new Blob([module], { type: "text/javascript" }));
            const result = (await import(url))[name](...values);
            URL.revokeObjectURL(url);
            return ArrayBuffer.isView(result) ? Array.from(result) : result;
        }"""
        return page.evaluate(script, [module(widget), function, json.loads(json.dumps(arguments))])

    yield call
    page.close()
