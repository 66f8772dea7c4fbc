"""The exact ground truth of a phantom, stored with each sample to derive labels and questions."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from medvlp.data.sample import Box as SampleBox
from medvlp.data.sample import Label

Box = tuple[float, float, float, float]
"""Left, top, right, bottom, as fractions of the image's side."""


@dataclass(frozen=True, slots=True)
class PlacedFinding:
    """One drawn finding."""

    name: str
    concept: str
    """Identifier in the phantom ontology."""
    side: str
    """Side of the patient: "left", "right", or "" if the finding has none."""
    site: str
    """Name of the anatomical structure, as exact as known."""
    size: str
    """"small", "moderate", "large"; or "mild", "moderate", "severe"; "" for a finding without a size."""
    box: Box


@dataclass(frozen=True, slots=True)
class Truth:
    """Modality and findings of one phantom image."""

    modality: str
    findings: tuple[PlacedFinding, ...]

    def to_attributes(self) -> dict[str, Any]:
        """Return JSON values for ``Sample.attributes``."""
        return {"modality": self.modality, "findings": [{**asdict(finding), "box": list(finding.box)} for finding in self.findings]}

    def labels(self, kinds: Iterable[str]) -> tuple[Label, ...]:
        """Return labels for all findings of the view, present or absent."""
        present = {finding.name for finding in self.findings}
        return tuple(Label("finding", kind, "positive" if kind in present else "negative") for kind in kinds)

    @property
    def boxes(self) -> tuple[SampleBox, ...]:
        """Return the boxes of the findings."""
        return tuple(SampleBox(finding.name, *finding.box) for finding in self.findings)
