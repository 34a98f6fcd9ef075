"""The real browser: Debian's Chromium, driven by Playwright, and what is expected of every page.

A page fails its test when the browser says anything against it: an error of a script, something that is not found,
something that the content-security-policy refuses; and when axe finds what is serious.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, FloatRect, Locator, Page, expect, sync_playwright

from running import Running

# The one without a window first, which Playwright takes by itself where it brings its own: the same engine, and half
# the CPU of a whole browser that does not show its window.
CHROMIUM = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "chromium-browser"))), None)
SCREENSHOTS = os.environ.get("BALANCER_SCREENSHOTS")
"""Where pictures of the pages are kept; none are made without it."""
Scheme = Literal["light", "dark"]
# 30 s: the machine may be busy; what is waited for is there within one.
_PATIENCE_MILLISECONDS = 30_000
expect.set_options(timeout=_PATIENCE_MILLISECONDS)
_GRAVE = ("serious", "critical")
# The document itself may be an error page; that is no fault of the page.
_OF_DOCUMENTS = "Failed to load resource: the server responded with a status of 4"


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Give a browser; skip where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium here; Debian's package is `chromium-headless-shell`, or `chromium`")
    with sync_playwright() as playwright:
        # No sandbox: root has none, as which tests in containers run. It sees pages of ours only.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """A browser of its own, without cookies at first, at one platform."""

    def __init__(
        self,
        browser: Browser,
        platform: Running,
        *,
        scripts: bool = True,
        scheme: Scheme = "light",
        zone: str = "Europe/Zurich",
    ) -> None:
        self.platform = platform
        self.url = f"http://127.0.0.1:{platform.admin_port}"
        self.faults: list[str] = []
        """What the browser has said against the pages."""
        self.context: BrowserContext = browser.new_context(
            base_url=self.url,
            java_script_enabled=scripts,
            color_scheme=scheme,
            viewport={"width": 1200, "height": 760},
            locale="en-GB",
            timezone_id=zone,
            reduced_motion="reduce",
        )
        self.context.set_default_timeout(_PATIENCE_MILLISECONDS)
        self.page: Page = self.context.new_page()
        self.page.on("console", lambda message: self._heard(message.type, message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and not text.startswith(_OF_DOCUMENTS):
            self.faults.append(f"{kind}: {text}")

    def sign_in(self, token: str | None = None) -> None:
        """Sign in, with the operator's token where none is given."""
        self.page.goto("/sign-in")
        self.page.get_by_label("Token").fill(token or (self.platform.data / "operator.token").read_text().strip())
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url(lambda url: "sign-in" not in url)

    def grave_faults(self) -> list[str]:
        """Return what axe finds on the page that is serious or critical."""
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {each['help']} at {[node['target'] for node in each['nodes']]}"
            for each in found
            if each["impact"] in _GRAVE
        ]

    def keep_picture(self, name: str, height: int | None = None) -> None:
        """Keep a picture of the whole page, or of its first pixels, where pictures are wanted."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            size = self.page.viewport_size
            clip = {"x": 0, "y": 0, "width": size["width"], "height": height} if size and height else None
            self.page.screenshot(
                path=Path(SCREENSHOTS) / f"{name}.png", full_page=True, scale="css", clip=cast("FloatRect | None", clip)
            )

    def keep_picture_of(self, name: str, part: Locator) -> None:
        """Keep a picture of a part of the page, where pictures are wanted."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            part.screenshot(path=Path(SCREENSHOTS) / f"{name}.png", scale="css")

    def wait_until_live(self) -> None:
        """Return when the page is kept up to date."""
        expect(self.page.locator("#live")).to_have_text("Live")


@contextlib.contextmanager
def visit(
    browser: Browser,
    platform: Running,
    *,
    scripts: bool = True,
    scheme: Scheme = "light",
    zone: str = "Europe/Zurich",
) -> Iterator[Visit]:
    """Give a visit; in the end the browser must have said nothing against any page."""
    made = Visit(browser, platform, scripts=scripts, scheme=scheme, zone=zone)
    try:
        yield made
        assert made.faults == []
    finally:
        made.context.close()
