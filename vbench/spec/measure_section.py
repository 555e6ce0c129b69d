"""The `measure` and `deadlines` sections of a sweep file: what each of their keys may hold."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from vbench.spec.fields import Count, Duration, NotNegative, Share, wrong
from vbench.spec.measure_types import Deadlines, MeasureSpec

FEWEST_FOR_INTERVAL = 5
"""Timed passes that are made with `until` whatever they show, as the worker has it."""
_NARROWEST, _WIDEST = 0.001, 0.5


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, protected_namespaces=())


class MeasureSection(_Section):
    """How often the prompt set is traversed in a trial."""

    warmup_passes: NotNegative = Field(
        default=MeasureSpec().warmup_passes, le=100_000, description="Passes that don't count."
    )
    passes: Count = Field(default=MeasureSpec().passes, description="Timed passes: the samples.")
    max_seconds: Duration | None = Field(
        default=None, description="Start no further timed pass once they have run this long.", examples=[120]
    )
    until: Share | None = Field(
        default=None,
        description="Go on until the 95 % interval's half-width is at most this share of the value.",
        examples=["2%"],
    )
    max_passes: Count = Field(
        default=MeasureSpec().max_passes, description="The most timed passes, where `until` is given."
    )
    settle: bool = Field(
        default=MeasureSpec().settle,
        description="Drop the first timed passes where they differ from the rest, and make up for them.",
    )
    reset_prefix_cache: bool = Field(
        default=MeasureSpec().reset_prefix_cache, description="Forget the prefix cache before each pass."
    )
    repeat_spoiled: bool = Field(
        default=MeasureSpec().repeat_spoiled, description="Run a trial once more that something else disturbed."
    )
    reference_every: NotNegative | None = Field(
        default=None,
        description="Measure the baseline again after so many trials, to see drift; 0: never.",
        examples=[10],
    )

    @field_validator("until")
    @classmethod
    def _is_reachable(cls, value: float | None) -> float | None:
        if value is not None and not _NARROWEST <= value <= _WIDEST:
            raise wrong(
                f"an interval of ±{value:.3%} is no aim: from {_NARROWEST:.1%} to {_WIDEST:.0%} is",
                "write 2%; passes differ by about 1 % on a quiet machine",
            )
        return value

    @field_validator("max_passes")
    @classmethod
    def _has_room(cls, value: int, info: ValidationInfo) -> int:
        """Called only where the key is given; a key before it that is wrong itself isn't in `info`."""
        if "until" not in info.data or "passes" not in info.data:
            return value
        fewest = max(info.data["passes"], FEWEST_FOR_INTERVAL)
        if info.data["until"] is None:
            raise wrong("max_passes needs until", "add until: 2%, or write passes for a fixed number")
        if value < fewest:
            raise wrong(f"max_passes {value} is fewer than the {fewest} that are always made with until",
                        f"write {max(fewest, MeasureSpec().max_passes)}, or fewer passes")  # fmt: skip
        return value

    @model_validator(mode="after")
    def _goes_on(self) -> MeasureSection:
        """More passes than the default of `max_passes`, which nobody wrote."""
        if self.until is not None and self.passes > self.max_passes:
            raise wrong(
                f"until has no room: {self.passes} passes are made whatever it shows, and max_passes is "
                f"{self.max_passes}",
                f"write max_passes: {2 * self.passes}, or fewer passes",
            )
        return self


class DeadlinesSection(_Section):
    """How long a step of a trial may take before the trial is stopped as timed out."""

    load: Duration = Field(default=Deadlines().load_s, description="Starting the engine.", examples=["15m"])
    pass_: Duration = Field(default=Deadlines().pass_s, alias="pass", description="One pass.", examples=["10m"])
    close: Duration = Field(default=Deadlines().close_s, description="Shutting the engine down.", examples=["60s"])
    release: Duration = Field(
        default=Deadlines().release_s,
        description="GPU memory to be given back after a trial, or the next one is interrupted.",
        examples=["2m"],
    )
