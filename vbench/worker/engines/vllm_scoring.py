"""The likelihood of fixed texts from vLLM's `prompt_logprobs`: what every way of calling has in common.

Sources: vLLM 0.32, `SamplingParams.prompt_logprobs` (0: of the prompt's own tokens alone; such requests don't read the
prefix cache) and `GPUModelRunner._get_prompt_logprobs_dict`, which makes the logits of one text at a time.
"""

from __future__ import annotations

import math
from typing import Any, List, Sequence, Tuple

from .base import Scores

# What the server says instead of minus infinity, which JSON doesn't have (`clamp_prompt_logprobs`).
_LEAST_LOGPROB = -9999.0
Cut = Tuple[List[int], bool]
"""Token ids, and whether there were more."""


def scoring_params() -> Any:
    """The SamplingParams of one text: its own tokens' log-probabilities, and one token more, which vLLM insists on."""
    from vllm import SamplingParams

    return SamplingParams(temperature=0.0, max_tokens=1, prompt_logprobs=0, detokenize=False)


def cut_tokens(texts: Sequence[str], tokenizer: Any, most_tokens: int, context: int) -> List[Cut]:
    """Each text's token ids, special tokens as the tokenizer adds them, as far as they are scored."""
    return [cut_ids(tokenizer(text)["input_ids"], most_tokens, context) for text in texts]


def cut_ids(ids: Sequence[int], most_tokens: int, context: int) -> Cut:
    """At most `most_tokens`, with one place left in the context for the token that is generated."""
    fitting = min(most_tokens, context - 1)
    return list(ids[:fitting]), len(ids) > fitting


def scores_of(cut: Sequence[Cut], logprobs: Sequence[Any]) -> Scores:
    """What was found of each text: by position, the log-probabilities by token id, or by its text in JSON."""
    scores = Scores()
    for (ids, is_cut), found in zip(cut, logprobs):
        if found is None or len(found) != len(ids):
            raise ValueError("the engine gave no log-probability for each token of a text")
        nll = math.fsum(-_logprob(at, token) for at, token in zip(found[1:], ids[1:]))
        if not math.isfinite(nll):
            raise ValueError("the log-probability of a text isn't a number: such a configuration's answers are noise")
        scores.nll.append(nll)
        scores.tokens.append(max(0, len(ids) - 1))
        scores.num_cut += is_cut
    return scores


def _logprob(at: Any, token: int) -> float:
    one = at[token] if token in at else at[str(token)]
    value = float(one["logprob"] if isinstance(one, dict) else one.logprob)
    return value if math.isnan(value) else max(value, _LEAST_LOGPROB)
