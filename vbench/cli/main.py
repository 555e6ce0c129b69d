"""The door: the one place that turns an error into a message and an exit code.

Exit codes: 0 done · 1 done, but no trial completed · 2 bad input · 3 this machine can't · 4 the results folder can't ·
5 a defect of vbench · 6 `compare --fail-if-slower` found a loss · 130 interrupted (what was measured is kept).

Little is imported here, so that nothing can go wrong before `main` sees to what may.
"""

from __future__ import annotations

import os
import signal
import sys

_UTF8 = "utf8"


def main() -> None:
    """Run the command line and end the process."""
    _speak_utf8()
    hears_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if hears_ctrl_c:  # while modules are imported Ctrl-C just ends the process: there is nothing to clean up yet
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from vbench.cli.app import ANYWHERE, DEBUG
    from vbench.cli.hiding import hide_secrets
    from vbench.cli.streams import make_streams_safe

    make_streams_safe(is_utf8_ours=_UTF8 in sys._xoptions)
    hide_secrets()
    argv = sys.argv[1:]
    first = [word for word in ANYWHERE if word in argv]
    try:
        if hears_ctrl_c:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run_command([*first, *(word for word in argv if word not in ANYWHERE)], DEBUG in argv)
        if hears_ctrl_c:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
    except KeyboardInterrupt:  # just before a command begins, or just after it has ended
        code = 130
    sys.exit(code)


def run_command(argv: list[str], is_debugging: bool) -> int:
    """Run one command line; returns its exit code. Every error becomes a message here, or nowhere."""
    import logging

    from vbench import errors
    from vbench.cli.app import ReaderGone, app
    from vbench.cli.interrupts import silence_stdout
    from vbench.cli.machine_errors import told

    logging.getLogger("vbench").addHandler(logging.NullHandler())  # what it warns of is in the notes of a run too
    try:
        app(argv)
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int) else errors.EXIT_OK
    except errors.VbenchError as error:
        if is_debugging and not isinstance(error, errors.Interrupted):
            raise
        _say(str(error), is_error=not isinstance(error, errors.Interrupted))
        return error.exit_code
    except KeyboardInterrupt:  # before a command could do better
        return errors.EXIT_INTERRUPTED
    except (BrokenPipeError, ReaderGone):
        silence_stdout()
        return errors.EXIT_OK
    except Exception as error:
        if _is_of_ctrl_c(error):
            return errors.EXIT_INTERRUPTED
        if is_debugging:
            raise
        problem = told(error)
        if problem is not None:
            silence_stdout()
            _say(problem.text)
            return problem.exit_code
        _say(
            f"this is a defect of vbench, please report it: {type(error).__name__}: {error}\n"
            "Run it again with --debug to see where."
        )
        return errors.EXIT_DEFECT
    return errors.EXIT_OK


def _is_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether it is what a library made of Ctrl-C, in the midst of an import for one."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        if isinstance(error, KeyboardInterrupt):
            return True
        seen.add(id(error))
        error = error.__cause__ or error.__context__
    return False


def _speak_utf8() -> None:
    """Begin again in Python's UTF-8 mode where the locale's encoding isn't UTF-8: names of files, variables and
    prompts may hold what it has no letters for. What we start then speaks UTF-8 as well. Output stays in the locale's.
    """
    if sys.getfilesystemencoding() == "utf-8" or _UTF8 in sys._xoptions or not sys.executable:
        return
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-X", _UTF8, *sys.orig_argv[1:]])  # noqa: S606 -- ourselves, as we were called


def _say(text: str, *, is_error: bool = True) -> None:
    from contextlib import suppress

    import typer

    from vbench.printable import printable
    from vbench.records.redaction import clean

    prefix = f"{typer.style('error', fg='red', bold=True)}: " if is_error else ""
    with suppress(OSError):  # nobody may be there to hear it
        typer.echo(f"{prefix}{printable(clean(text))}", err=True)
