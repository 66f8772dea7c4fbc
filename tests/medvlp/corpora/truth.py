"""What phantoms keep of their truth, read back."""

from collections.abc import Mapping
from typing import Any

from medvlp.corpora.phantom.truth import PlacedFinding, Truth


def truth_of(attributes: Mapping[str, Any]) -> Truth:
    """What ``Truth.to_attributes`` wrote; other attributes are left alone."""
    findings = (PlacedFinding(**{**finding, "box": tuple(finding["box"])}) for finding in attributes["findings"])
    return Truth(attributes["modality"], tuple(findings))
