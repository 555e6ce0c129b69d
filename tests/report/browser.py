"""A page in the Chromium that is installed, headless and offline; what it asks for and complains about is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest

NAMES = ("chromium", "google-chrome", "chromium-browser")
PATIENCE_MS = 120_000.0
"""For whatever a busy machine takes long for: the browser to start, a page to load, a script to have an effect."""


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
    sync_api = pytest.importorskip(
        "playwright.sync_api", reason="no playwright here to drive a browser", exc_type=ImportError
    )
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is installed")
    with ExitStack() as stack:
        # It keeps a few files at home, wherever that is, and doesn't start without one.
        home = stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True))
        try:
            playwright = stack.enter_context(sync_api.sync_playwright())
            browser = playwright.chromium.launch(
                executable_path=path, args=["--no-sandbox"], env={**os.environ, "HOME": home}, timeout=PATIENCE_MS
            )
        except Exception as error:  # playwright has none of its own for a driver that can't run here
            pytest.skip(f"{path} can't start here: {(str(error).splitlines() or [repr(error)])[0]}")
        stack.callback(browser.close)
        yield browser


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
    context.set_default_timeout(PATIENCE_MS)
    opened = Opened(page=context.new_page())
    opened.page.on("request", lambda request: opened.requests.append(request.url))
    opened.page.on("console", lambda message: opened.complaints.append(message.text))
    opened.page.on("pageerror", lambda error: opened.complaints.append(str(error)))
    try:
        opened.page.goto(path.as_uri())
        yield opened
    finally:
        context.close()
