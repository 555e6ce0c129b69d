"""A terminal's screen, as far as the live view needs one: it wraps, scrolls, moves up, erases, and wraps anew when it
becomes narrower."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[([0-9;?]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")


class Screen:
    """Rows of text without end; `feed` takes what a program writes. What it doesn't know is an error."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self._rows = [""]
        self._row = self._column = 0
        self.is_cursor_shown = True
        self.num_erasures = 0

    def feed(self, text: str) -> None:
        position = 0
        while position < len(text):
            token = _TOKEN.match(text, position)
            assert token is not None, repr(text[position : position + 20])
            position = token.end()
            argument, code, control, words = token.groups()
            if code:
                self._obey(argument, code)
            elif control == "\r":
                self._column = 0
            elif control == "\n":
                self._down()
            else:
                self._write(words)

    def narrow(self, columns: int) -> None:
        """As terminals do: each line is wrapped at the new width, and the cursor stays in its last row."""
        rows: list[str] = []
        for row in self._rows:
            pieces = [row[start : start + columns] for start in range(0, len(row), columns)] or [""]
            rows += pieces
        assert self._row == len(self._rows) - 1
        self.columns, self._rows = columns, rows
        self._row, self._column = len(rows) - 1, len(rows[-1])

    @property
    def lines(self) -> list[str]:
        """All rows from the first, without spaces at their ends and empty ones at the end."""
        return "\n".join(row.rstrip() for row in self._rows).rstrip("\n").split("\n")

    def _obey(self, argument: str, code: str) -> None:
        if code == "A":
            self._row = max(0, self._row - int(argument or 1))
        elif code == "J" and argument in ("", "0"):
            self.num_erasures += 1
            self._rows[self._row] = self._rows[self._row][: self._column]
            del self._rows[self._row + 1 :]
        elif argument == "?25":
            self.is_cursor_shown = code == "h"
        else:
            assert code == "m" or argument == "?2026", (argument, code)

    def _write(self, words: str) -> None:
        for letter in words:
            if self._column == self.columns:
                self._down()
            row = self._rows[self._row].ljust(self._column)
            self._rows[self._row] = row[: self._column] + letter + row[self._column + 1 :]
            self._column += 1

    def _down(self) -> None:
        self._row += 1
        self._column = 0
        if self._row == len(self._rows):
            self._rows.append("")
