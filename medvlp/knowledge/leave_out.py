"""Leave concepts and whole branches out of ontologies, by name: an ontology also has concepts that are no findings."""

import difflib
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from medvlp.errors import KnowledgeError
from medvlp.knowledge.ontology import Ontology

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LeaveOut:
    """Which concepts of the ontologies to leave out; each is given by its identifier or its preferred name."""

    concepts: list[str] = field(default_factory=list)
    """Concepts to leave out without those below them, such as a root ("All" of HPO)."""
    branches: list[str] = field(default_factory=list)
    """Concepts to leave out with all concepts below them, such as "Clinical modifier" of HPO, which has "Right" and "Severity" below it."""

    def of(self, ontologies: Sequence[Ontology]) -> list[Ontology]:
        """Return the ontologies without these concepts.

        Raises:
            KnowledgeError: no ontology has one of the concepts, or an ontology would be left without any.
        """
        self._check(ontologies)
        return [self._without(ontology) for ontology in ontologies]

    def _check(self, ontologies: Sequence[Ontology]) -> None:
        if not (self.concepts or self.branches):
            return
        known = {key.casefold(): key for ontology in ontologies for concept in ontology.concepts for key in (concept.id, concept.name)}
        for name in (*self.concepts, *self.branches):
            if name.casefold() not in known:
                near = [known[key] for key in difflib.get_close_matches(name.casefold(), known, n=3)]
                advice = f"; the nearest are {', '.join(near)}" if near else ""
                raise KnowledgeError(f"cannot leave out {name!r}: no ontology has a concept with this identifier or preferred name{advice}")

    def _without(self, ontology: Ontology) -> Ontology:
        dropped = _find(ontology, self.concepts) | ontology.below(_find(ontology, self.branches))
        if not dropped:
            return ontology
        kept = [concept for concept in ontology.concepts if concept.id not in dropped]
        if not kept:
            raise KnowledgeError(
                f"leave_out.branches {self.branches} leaves nothing of ontology {ontology.name!r}: to leave out a root without the "
                "concepts below it, name it in leave_out.concepts"
            )
        logger.info("%s: %d of %d concepts are left out", ontology.name, len(dropped), len(ontology.concepts))
        return Ontology.build(ontology.name, kept, ontology.triples)


NOTHING = LeaveOut()


def _find(ontology: Ontology, names: Sequence[str]) -> set[str]:
    wanted = {name.casefold() for name in names}
    return {concept.id for concept in ontology.concepts if not wanted.isdisjoint((concept.id.casefold(), concept.name.casefold()))}
