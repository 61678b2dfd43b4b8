"""The built book as a reader has it: from a web server and from the disk, light and dark, on a phone, without JavaScript.

Pages, widgets, sliders and questions are found in the pages, so that what is added later is covered, too.
"""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from otprior_book.theme import palette
from otprior_book.verify import toc_pages

pytestmark = [pytest.mark.book, pytest.mark.browser]
PAGES = toc_pages()

READY = """async () => {
    if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
    const waiting = () => document.querySelectorAll(
        ".otp-live:not([data-state]), .otp-plotly[aria-label]:not([data-state]), .otp-question:not([data-state])").length;
    for (let i = 0; i < 100 && waiting(); i++) await new Promise(next => setTimeout(next, 50));
    await new Promise(next => requestAnimationFrame(() => requestAnimationFrame(next)));
    return waiting();
}"""

PICTURE = """live => [...live.querySelectorAll("canvas")].map(canvas => canvas.toDataURL()).join()
    + [...live.querySelectorAll("svg")].map(svg => svg.outerHTML).join()"""


TOO_WIDE = """() => {
    const scrolls = node => node && (["auto", "scroll"].includes(getComputedStyle(node).overflowX) || scrolls(node.parentElement));
    return [document.documentElement, ...document.querySelectorAll("article *")]
        .filter(node => node.getBoundingClientRect().right > innerWidth + 1 && !node.closest("mjx-container, svg") && !scrolls(node.parentElement))
        .slice(0, 5).map(node => node.outerHTML.slice(0, 120));
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def origins(book_html):
    """Scheme -> address of the book's root."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(book_html))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield {"http": f"http://127.0.0.1:{server.server_port}/", "file": book_html.resolve().as_uri() + "/"}
        server.shutdown()


@pytest.fixture(scope="module")
def reader(browser):
    """A browser profile for each kind of reader; it keeps compiled scripts, not the theme that was chosen."""
    contexts = {}

    def profile(dark, javascript):
        if (dark, javascript) not in contexts:
            context = browser.new_context(color_scheme="dark" if dark else "light", java_script_enabled=javascript)
            context.add_init_script("localStorage.clear()")
            contexts[dark, javascript] = context
        return contexts[dark, javascript]

    yield profile
    for context in contexts.values():
        context.close()


@pytest.fixture
def visit(reader, origins):
    """Open a page and note everything that goes wrong while it is open."""
    opened = []

    def open_page(name, scheme="file", dark=False, javascript=True):
        page = reader(dark, javascript).new_page()
        opened.append(page)
        page.set_viewport_size({"width": 1280, "height": 900})
        page.trouble = []
        note = page.trouble.append
        page.on("request", lambda request: None if _ours(request.url, origins[scheme]) else note(f"asked {request.url}"))
        page.on("requestfailed", lambda request: note(f"failed {request.url}: {request.failure}"))
        page.on("response", lambda response: note(f"{response.status} {response.url}") if response.status >= 400 else None)
        page.on("console", lambda message: note(f"console: {message.text}") if message.type == "error" else None)
        page.on("pageerror", lambda error: note(f"exception: {error}"))
        page.goto(f"{origins[scheme]}{name}.html")
        if javascript:
            assert page.evaluate(READY) == 0, f"not everything on {name} came to life; {page.trouble}"
        return page

    yield open_page
    for page in opened:
        page.close()


def _ours(url, origin):
    return url.startswith(origin) or urlsplit(url).scheme in ("data", "blob", "about")


@pytest.mark.parametrize("scheme", ["http", "file"])
@pytest.mark.parametrize("name", PAGES)
def test_page_works_without_a_network(visit, name, scheme):
    page = visit(name, scheme)

    math, typeset = page.evaluate("""() => { const all = [...document.querySelectorAll(".math")];
        return [all.length, all.filter(node => node.querySelector("mjx-container svg")).length]; }""")
    assert typeset == math, "some formulas are not typeset"
    wrong = page.evaluate("[...document.querySelectorAll('[data-mml-node=merror]')].map(node => node.dataset.mjxError)")
    assert not wrong, f"formulas with errors: {wrong}"

    for live in page.locator(".otp-live").all():
        assert live.get_attribute("data-state") == "live"
        sliders = live.locator("input[type=range]")
        for index in range(sliders.count()):
            move(page, live, sliders.nth(index))
    assert page.locator(".otp-plotly[aria-label]").count() == page.locator(".otp-plotly .main-svg:first-child").count()
    assert page.trouble == []


def move(page, live, slider):
    """Move a slider by keyboard: the picture stands still before it and changes with it."""
    label = slider.evaluate("node => node.getAttribute('aria-label') || [...node.labels].map(label => label.textContent).join()")
    assert label.strip(), "a slider has no label"
    before = live.evaluate(PICTURE)
    assert before, f"the widget of slider {label!r} shows no canvas and no svg"
    page.wait_for_timeout(60)
    assert live.evaluate(PICTURE) == before, f"the picture of slider {label!r} changes on its own"
    value = slider.input_value()
    slider.focus()
    page.keyboard.press("PageUp")
    if slider.input_value() == value:
        page.keyboard.press("PageDown")
    assert slider.input_value() != value, f"slider {label!r} does not move by keyboard"
    for _ in range(40):
        if live.evaluate(PICTURE) != before:
            return
        page.wait_for_timeout(50)
    pytest.fail(f"slider {label!r} moved from {value} to {slider.input_value()} and the picture did not change")


@pytest.mark.parametrize("name", PAGES)
def test_page_follows_its_reader(visit, name):
    page = visit(name)
    follow_the_theme(page)
    answer_the_questions(page)
    open_the_folds(page)
    fit_a_phone(page)
    assert page.trouble == []


def follow_the_theme(page):
    """Dark and back: background, pictures and canvases change."""
    before = [live.evaluate(PICTURE) for live in page.locator(".otp-live:has(canvas)").all()]
    for theme, other in (("dark", "light"), ("light", "dark")):
        switch_theme(page, theme)
        page.wait_for_timeout(150)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == "rgb({}, {}, {})".format(*(int(palette(theme).bg[i : i + 2], 16) for i in (1, 3, 5)))
        assert page.locator(f"img.only-{other}:visible").count() == 0
        assert not page.evaluate(
            f"[...document.querySelectorAll('img.only-{theme}')].filter(i => !i.naturalWidth).map(i => i.src)"
        )
        assert all(caption.is_visible() for caption in page.locator("figure figcaption").all())
        if theme == "dark":
            after = [live.evaluate(PICTURE) for live in page.locator(".otp-live:has(canvas)").all()]
            assert all(old != new for old, new in zip(before, after)), "a canvas was not redrawn for the dark theme"


def switch_theme(page, wanted):
    button = page.locator("button.theme-switch-button:visible").first
    for _ in range(3):
        if page.evaluate("document.documentElement.dataset.theme") == wanted:
            return
        button.click()
    assert page.evaluate("document.documentElement.dataset.theme") == wanted


def answer_the_questions(page):
    """By keyboard, one wrong answer and then the right ones."""
    for question in page.locator(".otp-question").all():
        many = question.get_attribute("data-choose") == "all"
        right = question.locator(".otp-option[data-right]").all()
        wrong = question.locator(".otp-option:not([data-right])").first
        verdict = question.locator(".otp-verdict")

        def choose(*options):
            for option in options:
                option.locator("input").press("Space")
            if many:
                question.locator(".otp-check").press("Enter")

        choose(wrong)
        assert "Not" in verdict.inner_text()
        assert wrong.locator("details p").is_visible()
        if many:
            wrong.locator("input").press("Space")
        choose(*right)
        assert verdict.inner_text().startswith("Right")
        assert all(option.locator("details p").is_visible() for option in right)


def open_the_folds(page):
    for button in page.locator("article .toggle-button:visible").all():
        button.click()
    assert page.locator("article .toggle-hidden").count() == 0


def fit_a_phone(page):
    page.set_viewport_size({"width": 390, "height": 800})
    page.wait_for_timeout(150)
    wide = page.evaluate(TOO_WIDE)
    assert not wide, f"wider than a phone: {wide}"


@pytest.mark.parametrize("name", PAGES)
def test_on_paper_everything_is_open_and_light(visit, name):
    page = visit(name, dark=True)
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("img.only-dark:visible").count() == 0
    assert page.locator("article details:not([open])").count() == 0
    assert page.locator(".bd-sidebar-primary:visible, .bd-header-article:visible").count() == 0
    for live in page.locator(".otp-live:has(.otp-fallback img)").all():
        assert live.locator("img.only-light").is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


@pytest.mark.parametrize("name", PAGES)
def test_without_javascript_the_page_is_still_read(visit, name):
    page = visit(name, javascript=False)
    assert page.locator("article h1").is_visible()
    for live in page.locator(".otp-live, .otp-plotly[aria-label]").all():
        assert live.locator("img.only-light, .otp-waiting").first.is_visible()
    for why in page.locator(".otp-why").all():
        why.locator("summary").click()
        assert why.locator("p").is_visible()
