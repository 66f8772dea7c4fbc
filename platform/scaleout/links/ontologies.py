"""The ontology of the links: read from any location, and compared with the manifest of the links."""

from collections.abc import Sequence
from contextlib import ExitStack

from medvlp.errors import ConfigurationError, KnowledgeError
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.registry import read_ontologies
from medvlp.knowledge.readers.rrf import EVERYTHING, UMLSFilter
from scaleout.io import storage
from scaleout.links.manifest import LinksManifest
from scaleout.shards.manifest import ShardManifest


def read_ontology_uris(uris: Sequence[str], umls: UMLSFilter = EVERYTHING) -> Ontology:
    """Read and merge all named files or folders, local or in an object store, as one ontology."""
    if not uris:
        raise ConfigurationError("no ontology given; add --ontology FILE")
    with ExitStack() as stack:
        return read_ontologies([stack.enter_context(storage.local_copy(storage.absolute(uri))) for uri in uris], umls=umls)


def check_links(links: LinksManifest, shards: ShardManifest, ontology: Ontology) -> None:
    """Make sure that links, shards and ontology belong together.

    Raises:
        KnowledgeError: they do not belong together.
    """
    if links.ontology_fingerprint != ontology.fingerprint:
        raise KnowledgeError(
            f"the links were made with ontology {links.ontology!r} ({links.ontology_fingerprint}), not with {ontology.name!r} "
            f"({ontology.fingerprint}); give the same --ontology files, or make the links again with jobs/link.py"
        )
    if links.shards_fingerprint != shards.fingerprint:
        raise KnowledgeError(
            f"the links are of other shards ({links.shards_fingerprint}, these are {shards.fingerprint}); make them again with jobs/link.py"
        )
