"""The lines at the foot of the terminal: what stands on the screen after redraws, lines above, and a resize."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console
from rich.text import Text

from tests.cli.screen import Screen
from vbench.cli import live_region
from vbench.cli.live_region import Region


class Stream(io.StringIO):
    """What is written goes to the screen at once; counts the writes."""

    def __init__(self, screen: Screen) -> None:
        super().__init__()
        self.screen, self.num_writes = screen, 0

    def write(self, text: str) -> int:
        self.num_writes += bool(text)
        self.screen.feed(text.replace("\n", "\r\n"))
        return len(text)


class View:
    """A region whose lines the test sets, and which draws only when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, columns: int = 20, height: int = 24) -> None:
        monkeypatch.setattr(live_region, "_INTERVAL_S", 3600.0)
        self.screen = Screen(columns)
        self.stream = Stream(self.screen)
        self.console = Console(
            file=self.stream, force_terminal=True, width=columns, height=height, color_system=None, legacy_windows=False
        )
        self.lines = ["one", "two"]
        self.region = Region(self.console, lambda _: [Text(line) for line in self.lines])

    def redraw(self) -> None:
        self.region._redraw()


@pytest.fixture
def view(monkeypatch: pytest.MonkeyPatch) -> View:
    return View(monkeypatch)


def test_the_lines_are_drawn_over_themselves(view: View) -> None:
    view.region.start()
    assert view.screen.lines == ["one", "two"]
    assert not view.screen.is_cursor_shown
    for view.lines in (["1"], ["1", "2", "3"], ["", "x"]):
        view.redraw()
        assert view.screen.lines == view.lines
    view.region.stop()
    assert view.screen.lines == [""]
    assert view.screen.is_cursor_shown


def test_what_has_not_changed_is_not_drawn(view: View) -> None:
    view.region.start()
    writes = view.stream.num_writes
    view.redraw()
    assert view.stream.num_writes == writes
    view.lines = ["other"]
    view.redraw()
    assert view.stream.num_writes == writes + 1  # in one piece: no flicker
    view.region.stop()


def test_said_lines_go_above_and_stay(view: View) -> None:
    view.region.say(Text("before"))
    view.region.start()
    view.region.say(Text("a line that is longer than the screen"))
    view.region.say(Text("cut where the screen ends"), is_cut=True)
    said = ["before", "a line that is longe", "r than the screen", "cut where the scree…"]
    assert view.screen.lines == [*said, "one", "two"]
    view.region.stop()
    view.region.say(Text("after"))
    assert view.screen.lines == [*said, "after"]


def test_long_lines_are_cut_one_column_before_the_edge(view: View) -> None:
    view.lines = ["x" * 50, "漢" * 20]
    view.region.start()
    assert view.screen.lines[0] == "x" * 18 + "…"
    assert view.screen.lines[1].endswith("…")
    assert len(view.screen.lines) == 2
    view.region.stop()


@pytest.mark.parametrize("columns", [19, 10, 7])
def test_a_narrower_window_leaves_nothing_behind(view: View, columns: int) -> None:
    view.lines = ["x" * 19, "", "y" * 12]
    view.region.say(Text("kept"))
    view.region.start()
    view.screen.narrow(columns)
    view.console.width = columns
    view.lines = ["new"]
    view.redraw()
    assert view.screen.lines == ["kept", "new"]
    view.region.stop()
    assert view.screen.lines == ["kept"]


def test_no_more_lines_than_the_window_has(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(monkeypatch, height=4)
    view.lines = list("abcdef")
    view.region.start()
    assert view.screen.lines == ["a", "b", "c"]
    view.region.stop()


def test_a_region_that_was_never_shown_can_be_stopped(view: View) -> None:
    view.region.stop()
    assert view.stream.num_writes == 0


def test_it_draws_by_itself_and_stops_where_the_terminal_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    view = View(monkeypatch)
    monkeypatch.setattr(live_region, "_INTERVAL_S", 0.001)
    view.region.start()
    view.lines = ["by itself"]
    end = time.monotonic() + 60
    while view.screen.lines != view.lines:
        assert time.monotonic() < end
        time.sleep(0.001)

    def fail(text: str) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(view.stream, "write", fail)
    view.lines = ["nobody sees it"]
    view.region._thread.join(60)
    assert not view.region._thread.is_alive()
