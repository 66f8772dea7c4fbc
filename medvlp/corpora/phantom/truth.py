"""What a phantom shows, exactly: kept with each sample so that labels and questions can be derived from it."""

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
    """Of the patient: "left", "right", or "" where the finding has none."""
    site: str
    """Name of the anatomical structure, as exact as it is known."""
    size: str
    """"small", "moderate", "large"; or "mild", "moderate", "severe"; "" for what has no size."""
    box: Box


@dataclass(frozen=True, slots=True)
class Truth:
    """Modality and findings of one phantom image."""

    modality: str
    findings: tuple[PlacedFinding, ...]

    def to_attributes(self) -> dict[str, Any]:
        """JSON values for ``Sample.attributes``."""
        return {"modality": self.modality, "findings": [{**asdict(finding), "box": list(finding.box)} for finding in self.findings]}

    def labels(self, kinds: Iterable[str]) -> tuple[Label, ...]:
        """Which of the findings that its view could show are there."""
        present = {finding.name for finding in self.findings}
        return tuple(Label("finding", kind, "positive" if kind in present else "negative") for kind in kinds)

    @property
    def boxes(self) -> tuple[SampleBox, ...]:
        """Where the findings are."""
        return tuple(SampleBox(finding.name, *finding.box) for finding in self.findings)
