"""Every error that a user can meet, and its exit code.

    VbenchError                  5  (a defect: please report)
    ├── UsageError               2  the command line asks for something that isn't there
    │   └── SpecError            2  the sweep file, prompt set or model folder is wrong; carries every problem found
    ├── MachineError             3  this machine can't: no engine, no GPU, no such interpreter
    ├── StoreError               4  the results folder: locked, unreadable, not writable, disk full
    └── Interrupted            130  the user stopped it

A message says what happened and what to do. Nothing here is printed with a traceback unless `--debug` is given.
Exit code 1 is not an error of vbench: the work was done and no trial completed (or `run`'s one trial failed). Nor is 6:
`compare --fail-if-slower` found what it was asked to look for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

EXIT_OK = 0
EXIT_NO_RESULT = 1
EXIT_USAGE = 2
EXIT_MACHINE = 3
EXIT_STORE = 4
EXIT_DEFECT = 5
EXIT_SLOWER = 6
EXIT_INTERRUPTED = 130
_MOST_SHOWN = 50
_LONGEST_SHOWN = 1000


class VbenchError(Exception):
    """Base of all errors with a message for the user; `exit_code` is what the command ends with."""

    exit_code = EXIT_DEFECT


class UsageError(VbenchError):
    """The command line names something that doesn't exist or can't be combined."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong in an input file. `line` counts from 1; `key` is the dotted path (`search.trials`)."""

    message: str
    key: str = ""
    line: int | None = None
    hint: str = ""

    def render(self, file: str) -> str:
        """`file:line: key: message (hint)`, leaving out what isn't known."""
        where = f"{file}:{self.line}" if self.line is not None else file
        message = _beginning(self.message)
        text = f"{where}: {_beginning(self.key)}: {message}" if self.key else f"{where}: {message}"
        return f"{text} ({_beginning(self.hint)})" if self.hint else text


def _beginning(text: str) -> str:
    """What a file made absurdly long fills no terminal."""
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


class SpecError(UsageError):
    """An input file is wrong. Raised once with every problem found, in the order of the file."""

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems, key=lambda p: (p.line is None, p.line or 0)))
        told = [problem.render(file) for problem in self.problems[:_MOST_SHOWN]]
        more = len(self.problems) - len(told)
        super().__init__("\n".join([*told, *([f"{file}: and {more:,} problems more"] if more else [])]))


class MachineError(VbenchError):
    """This machine lacks what the work needs: an engine, an interpreter, a GPU."""

    exit_code = EXIT_MACHINE


class StoreError(VbenchError):
    """The results folder can't be read or written, or another vbench holds it."""

    exit_code = EXIT_STORE


class Interrupted(VbenchError):
    """The user stopped the work; what was measured is on disk."""

    exit_code = EXIT_INTERRUPTED
