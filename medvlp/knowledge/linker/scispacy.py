"""scispaCy's entity linker behind the same interface: the linker of the paper, as an optional extra.

It is not a dependency: its model and index take about 10 GB of memory.
"""

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from medvlp.errors import KnowledgeError
from medvlp.knowledge.linker.dictionary import Span, flag_denied
from medvlp.knowledge.ontology import Ontology
from medvlp.values import Checked, Share

_INSTALL = (
    "scispaCy is not installed; run pip install 'medvlp[scispacy]' (Python below 3.13), then install the model from "
    "https://allenai.github.io/scispacy, or take --linker dictionary"
)


@dataclass(frozen=True, kw_only=True)
class ScispacyConfig(Checked):
    """The model that finds mentions, and its threshold; the defaults are the paper's."""

    model: str = "en_core_sci_scibert"
    """spaCy model that finds the mentions."""
    knowledge_base: str = "umls"
    """scispaCy's index of names; its identifiers must be those of UMLS."""
    threshold: Share = 0.95
    """Minimum similarity of a mention and a name."""


@dataclass(frozen=True, slots=True)
class Mention:
    """scispaCy's result for one mention in a text."""

    start: int
    end: int
    candidates: tuple[tuple[str, float], ...]
    """UMLS identifiers with similarity, best first."""


class ScispacyLinker:
    """The linker of the paper: the best candidate of each mention, if it is similar enough and the ontology contains it.

    Mentions of one character are ignored. Negated mentions are flagged as by the dictionary linker. A process loads the model when it links
    its first text, so that the linker itself pickles small.
    """

    name = "scispacy"

    def __init__(self, concepts: frozenset[str], config: ScispacyConfig) -> None:
        self._concepts = concepts
        self._config = config
        self.version = "-".join(("scispacy", _installed_version(), *(str(value) for value in asdict(config).values())))

    @classmethod
    def build(cls, ontology: Ontology, config: ScispacyConfig) -> "ScispacyLinker":
        """Build a linker to the concepts of ``ontology``, whose identifiers must be those of UMLS.

        Raises:
            KnowledgeError: scispaCy is not installed; the message says what to install.
        """
        return cls(frozenset(concept.id for concept in ontology.concepts), config)

    def __reduce__(self) -> tuple[type, tuple[frozenset[str], ScispacyConfig]]:
        """Pickle without the model."""
        return ScispacyLinker, (self._concepts, self._config)

    def link(self, text: str) -> list[Span]:
        """Find the mentions in ``text``, ascending; scispaCy's do not overlap."""
        document = self._pipeline(text)
        mentions = (Mention(entity.start_char, entity.end_char, tuple(entity._.kb_ents)) for entity in document.ents)
        return flag_denied(choose_candidates(mentions, self._concepts, self._config.threshold), text)

    @cached_property
    def _pipeline(self) -> Callable[[str], Any]:
        import scispacy.linking  # noqa: F401  registers the pipe
        import spacy

        try:
            pipeline: Callable[[str], Any] = spacy.load(self._config.model)
        except OSError as error:
            raise KnowledgeError(
                f"spaCy has no model {self._config.model!r} ({error}); install it from https://allenai.github.io/scispacy"
            ) from error
        pipeline.add_pipe("scispacy_linker", config={"resolve_abbreviations": True, "linker_name": self._config.knowledge_base})  # type: ignore[attr-defined]
        return pipeline


def choose_candidates(mentions: Iterable[Mention], concepts: frozenset[str], threshold: float) -> list[Span]:
    """Choose the best candidate of each mention of two characters or more, if it reaches the threshold and is one of ``concepts``."""
    spans = []
    for mention in mentions:
        similar = [concept for concept, similarity in mention.candidates if similarity >= threshold]
        if similar and similar[0] in concepts and mention.end - mention.start > 1:
            spans.append(Span(mention.start, mention.end, similar[0]))
    return sorted(spans)


def _installed_version() -> str:
    try:
        return version("scispacy")
    except PackageNotFoundError as error:
        raise KnowledgeError(_INSTALL) from error
