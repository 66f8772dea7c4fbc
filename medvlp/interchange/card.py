"""The card of an exported model: description, origin, metrics and permitted use."""

from typing import TYPE_CHECKING

from medvlp.knowledge.bundle import KnowledgeBundle
from medvlp.tasks.base import Card

if TYPE_CHECKING:
    from medvlp.interchange.model_folder import Origin

_CARD = """# {title}

{what} Made with medvlp, an implementation of ARL (Align, Reason and Learn, ACM MM 2022).

```python
import medvlp

model = medvlp.load("this folder")
{example}
```

An image is a path, bytes, a file opened in binary mode, a Pillow image or a numpy array; JPEG and PNG files are read as in training.
`sha256sum --check SHA256SUMS` finds damaged files, and so does `medvlp.load`. This card may be edited.

## Origin

| | |
|---|---|
{origin}

## Last validation

{metrics}

## Licence and use

The code is under Apache-2.0. The weights, the tokenizer and the names in `knowledge/` are derived from the data and the ontology that
they were trained on: their licences and data use agreements apply to this folder too. For research; not a medical device, and not for
decisions about patients.
"""


def model_card(origin: "Origin", card: Card, bundle: KnowledgeBundle) -> str:
    """Return the card as Markdown."""
    facts = {"run": origin.run, "step": f"{origin.step:,}", "samples": f"{origin.samples:,}", "ontology": bundle.provenance.ontology}
    facts |= {"started from": origin.started_from} if origin.started_from else {}
    facts |= {f"fingerprint of {name}": value for name, value in origin.fingerprints.items()}
    return _CARD.format(
        title=origin.run,
        what=card.what,
        example=card.example,
        origin="\n".join(f"| {name} | {value} |" for name, value in facts.items()),
        metrics="\n".join(f"- {name}: {value:.4f}" for name, value in sorted(origin.metrics.items())) or "Unknown.",
    )
