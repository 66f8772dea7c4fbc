"""Weights of the objectives."""

import pytest

from medvlp.errors import ConfigurationError
from medvlp.tasks.pretrain.config import Objective, ObjectiveWeights


def test_the_papers_weights_build_everything() -> None:
    assert ObjectiveWeights().by_objective() == {Objective.MLM: 1.0, Objective.MIM: 1.0, Objective.ITM: 0.1, Objective.ALIGN: 1.0}
    assert ObjectiveWeights().built() == tuple(Objective)


def test_weight_zero_is_not_built() -> None:
    assert ObjectiveWeights(mim=0, align=0).built() == (Objective.MLM, Objective.ITM)


def test_one_weight_is_above_zero() -> None:
    with pytest.raises(ConfigurationError, match=r"pretext\.weights are all 0"):
        ObjectiveWeights(**dict.fromkeys(("mlm", "mim", "itm", "align"), 0.0))
