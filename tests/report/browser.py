"""A page in Debian's Chromium, headless and without a network; what the page asks for and complains about is kept."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pytest

NAMES = ("chromium", "google-chrome", "chromium-browser")


@dataclass(frozen=True, kw_only=True)
class Opened:
    """An open page."""

    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    """Errors of scripts, and all that the console says; what the content security policy stopped is among it."""


@contextmanager
def start_browser() -> Iterator[Any]:
    """A browser to open pages in; skips the test where none is installed or none can start."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright here to drive a browser")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        except sync_api.Error as error:
            pytest.skip(f"{path} can't start here: {str(error).splitlines()[0]}")
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def open_page(
    browser: Any,
    path: Path,
    *,
    width: int = 1400,
    scheme: Literal["light", "dark"] = "light",
    has_script: bool = True,
    permissions: list[str] | None = None,
) -> Iterator[Opened]:
    """The file at `path` in a context of its own."""
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,
        java_script_enabled=has_script,
        permissions=permissions,
        offline=True,
    )
    opened = Opened(page=context.new_page())
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        opened.page.goto(path.as_uri())
        yield opened
    finally:
        context.close()
