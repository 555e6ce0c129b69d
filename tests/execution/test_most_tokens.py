"""What each prompt generates at most."""

from __future__ import annotations

from typing import Any

import pytest

from vbench.execution.most_tokens import most_tokens
from vbench.prompts.prompt_set import PromptSet

BARE = ({"prompt": "a"}, {"prompt": "b"})
LONG = ({"prompt": "a", "output_tokens": 8}, {"prompt": "b", "output_tokens": 32})


def prompts(items: Any = BARE, **lengths: Any) -> PromptSet:
    return PromptSet(items=items, sha256="", source="", **lengths)


@pytest.mark.parametrize(
    ("prompt_set", "sampling", "most"),
    [
        (prompts(output_tokens=32), {}, [32, 32]),
        (prompts(output_tokens=32, max_tokens=512), {"n": 2}, [64, 64]),
        (prompts(LONG, output_tokens=32), {}, [8, 32]),
        (prompts(max_tokens=512), {}, [512, 512]),
        (prompts(max_tokens=512), {"n": 3}, [1536, 1536]),
        (prompts(), {}, None),
        (prompts(output_tokens=32), {"n": "two"}, None),
    ],
)
def test_most_tokens_are_exact_or_a_bound_or_not_known(
    prompt_set: PromptSet, sampling: dict[str, Any], most: list[int] | None
) -> None:
    assert most_tokens(prompt_set, {"sampling": sampling}) == most
