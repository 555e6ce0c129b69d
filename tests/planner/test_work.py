"""What a model computes, from its shape: by hand for OPT-125m, and against published sizes."""

from __future__ import annotations

import json

import pytest

from tests.planner.builders import t4
from vbench.planner.shape import NotModelled
from vbench.planner.shipped import shipped_shape
from vbench.planner.verdict import plan
from vbench.planner.work import work_of


def test_by_hand() -> None:
    work = work_of(shipped_shape("opt-125m"))
    assert work.layer_parameters == 12 * 12 * 768**2  # 12 layers of 4 d² attention and 8 d² MLP
    assert work.head_parameters == 50272 * 768  # tied: the embedding is the head
    assert work.attention_widths == ((None, 12 * 768),)


@pytest.mark.parametrize(("name", "billions", "active"), [("llama-3.1-8b", 8.03, 7.50), ("mixtral-8x7b", 46.7, 12.7)])
def test_against_published_sizes(name: str, billions: float, active: float) -> None:
    """Mixtral's paper: 47 B parameters of which a token uses 13 B (arXiv:2401.04088), its embedding among them."""
    work = work_of(shipped_shape(name))
    assert work.num_parameters / 1e9 == pytest.approx(billions, rel=0.005)
    assert (work.layer_parameters + work.head_parameters) / 1e9 == pytest.approx(active, rel=0.01)


def test_windows_have_their_own_width() -> None:
    shape = shipped_shape("gemma-2-2b")
    work = work_of(shape)
    assert dict(work.attention_widths).keys() == set(shape.layer_windows)
    assert sum(width for _, width in work.attention_widths) == shape.num_layers * shape.num_heads * shape.head_dim


def test_a_plan_keeps_it_as_plain_data() -> None:
    said = plan({}, shipped_shape("opt-125m"), t4()).as_json({})
    assert said["work"]["attention_widths"] == [[None, 9216]]
    assert json.loads(json.dumps(said)) == said  # read back it is the same, so that plans can be compared
    unknown = plan({}, NotModelled(model_type="mamba", reason="a state space"), t4())
    assert unknown.as_json({})["work"] is None
