"""A headless Chromium with the page open; without one on this machine its tests are skipped."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:  # tools.py skips the tests where one of these is missing
    from playwright.sync_api import Browser, BrowserContext, Page, Playwright

    from tests.server.chromium.stage import Stage

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
EXPECT_MS = 20_000


def chromium_path(playwright: Playwright) -> str | None:
    """The system's Chromium, or else the one that playwright fetched."""
    for name in NAMES:
        if path := shutil.which(name):
            return path
    own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium for a file of tests: playwright keeps an event loop, which others need free."""
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        path = chromium_path(playwright)
        if path is None:
            pytest.skip("there is no Chromium on this machine")
        # Chromium refuses its own sandbox to root, as in a container.
        is_root = hasattr(os, "geteuid") and os.geteuid() == 0
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox"] if is_root else []
        )
        yield browser
        browser.close()


@pytest.fixture
def stage() -> Stage:
    """What the server says."""
    from tests.server.chromium.stage import Stage

    return Stage()


@pytest.fixture
def base_url(stage: Stage) -> Iterator[str]:
    """Where the page is."""
    from tests.server.chromium.stage import serving

    with serving(stage.app()) as url:
        yield url


@pytest.fixture
def context(browser: Browser, base_url: str) -> Iterator[BrowserContext]:
    """A browser without a past."""
    from playwright import sync_api

    sync_api.expect.set_options(timeout=EXPECT_MS)
    context = browser.new_context(
        base_url=base_url, viewport={"width": 1200, "height": 800}, reduced_motion="reduce"
    )
    context.set_default_timeout(EXPECT_MS)
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield context
    context.close()


@pytest.fixture
def open_page(context: BrowserContext, base_url: str) -> Iterator[Callable[[], Page]]:
    """Open the page; at the end nothing must have run, failed or come from elsewhere."""
    complaints: list[str] = []

    def watched() -> Page:
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on("console", lambda line: complaints.append(line.text))
        page.on("dialog", lambda dialog: (complaints.append("a dialog"), dialog.dismiss()))
        page.on("request", lambda request: _note_foreign(request.url, base_url, complaints))
        page.goto("/")
        page.wait_for_selector("html[data-ready], dialog[open]")
        return page

    yield watched
    # A refused request is told by the page, and by Chromium in the console.
    left = [line for line in complaints if not line.startswith("Failed to load resource")]
    assert not left


def _note_foreign(url: str, base_url: str, complaints: list[str]) -> None:
    if not url.startswith((base_url, "blob:", "data:")):
        complaints.append(f"a request to {url}")


@pytest.fixture
def page(open_page: Callable[[], Page]) -> Page:
    """The page, as it is opened for the first time."""
    return open_page()


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """A step of a script that waits until the test sets it."""
    event = threading.Event()
    yield event
    event.set()
