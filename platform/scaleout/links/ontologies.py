"""The ontology of the links: read from any location, and compared with the manifest of the links."""

from collections.abc import Sequence
from contextlib import ExitStack

from medvlp.errors import ConfigurationError, KnowledgeError
from medvlp.knowledge.leave_out import NOTHING, LeaveOut
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.knowledge.readers.rrf import EVERYTHING, UMLSFilter
from scaleout.io import storage
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import ShardManifest


def read_ontology_uris(
    uris: Sequence[str], *, umls: UMLSFilter = EVERYTHING, language: str = "en", leave_out: LeaveOut = NOTHING
) -> Ontology:
    """Read and merge all named files or folders, local or in an object store, as one ontology; see ``read_ontologies``."""
    if not uris:
        raise ConfigurationError("no ontology given; add --ontology FILE")
    with ExitStack() as stack:
        paths = [stack.enter_context(storage.local_copy(storage.absolute(uri))) for uri in uris]
        return read_ontologies(paths, umls=umls, language=language, leave_out=leave_out)


def check_links(links: LinksManifest, shards: ShardManifest, ontology: Ontology) -> None:
    """Make sure that links, shards and ontology belong together.

    Raises:
        KnowledgeError: they do not belong together.
    """
    if links.ontology_fingerprint != ontology.fingerprint:
        raise KnowledgeError(
            f"the links were made with ontology {links.ontology!r} ({links.ontology_fingerprint}), not with {ontology.name!r} "
            f"({ontology.fingerprint}); give the same --ontology, --umls, --language and --leave_out, or make the links again with "
            "jobs/link.py"
        )
    if links.shards_fingerprint != shards.fingerprint:
        raise KnowledgeError(
            f"the links are of other shards ({links.shards_fingerprint}, these are {shards.fingerprint}); make them again with jobs/link.py"
        )
