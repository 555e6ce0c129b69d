"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """`warn`: a sweep runs, but look; `fail`: what this is about doesn't work."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A finding. `about` groups findings (machine, GPU, engine, environment)."""

    about: str
    name: str
    status: Status
    says: str
    advice: str = ""
    """What to do; empty where nothing needs doing."""

    def as_json(self) -> dict[str, Any]:
        """Plain data."""
        return {**asdict(self), "status": str(self.status)}


def ok(about: str, name: str, says: str) -> Check:
    """All is well."""
    return Check(about=about, name=name, status=Status.OK, says=says)


def warn(about: str, name: str, says: str, advice: str) -> Check:
    """A sweep runs, but worse or other than could be."""
    return Check(about=about, name=name, status=Status.WARN, says=says, advice=advice)


def fail(about: str, name: str, says: str, advice: str) -> Check:
    """This doesn't work."""
    return Check(about=about, name=name, status=Status.FAIL, says=says, advice=advice)
