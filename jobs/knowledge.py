"""Build the knowledge bundle: the entities that the texts mention, the graph between them, and their vectors.

With ``--inspect``, show the content of a bundle instead.
"""

import io
import sys

from medvlp.errors import KnowledgeError
from medvlp.knowledge.bundle import METADATA_FILE, KnowledgeBundle
from medvlp.knowledge.dropped import describe_dropped
from medvlp.knowledge.inspection import describe, describe_entity, draw_neighbourhood, find_entity
from medvlp.knowledge.leave_out import NOTHING, LeaveOut
from medvlp.knowledge.readers.rrf import EVERYTHING, UMLSFilter
from medvlp.knowledge.transe import TransEConfig
from medvlp.knowledge.vocabulary import build_bundle
from medvlp.values import Count, CountOrZero
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.output import check_free, output_folder
from scaleout.io.places import Place
from scaleout.links.manifest import LinksManifest
from scaleout.links.ontologies import check_links, read_ontology_uris
from scaleout.runs.inputs import open_knowledge
from scaleout.shards.manifest import ShardManifest

DEFAULT_TRANSE = TransEConfig()


def knowledge(
    *,
    shards: Place,
    links: Place,
    ontology: list[Place],
    output: Place,
    umls: UMLSFilter = EVERYTHING,
    language: str = "en",
    leave_out: LeaveOut = NOTHING,
    minimum_count: Count = 21,
    inverse_relations: bool = False,
    ancestor_steps: CountOrZero = 0,
    transe: TransEConfig = DEFAULT_TRANSE,
    overwrite: bool = False,
) -> None:
    """Build the knowledge bundle: the entities that the texts mention, the graph between them, and their vectors.

    With --inspect KNOWLEDGE, show the content of a bundle instead; see --inspect KNOWLEDGE --help.

    Args:
        shards: Folder of the shards.
        links: Folder of the links of these shards.
        ontology: The ontology that the links were made with; repeat the option as for jobs/link.py.
        output: Destination of the bundle: a folder, or s3://bucket/folder.
        umls: Which rows of the UMLS files to use; the same as for the links, as the next two.
        language: Language of the names in OWL and SKOS files.
        leave_out: Concepts of the ontologies to leave out.
        minimum_count: Minimum number of mentions of an entity in the training split; the paper's "more than 20" is 21.
        inverse_relations: Add the inverse of every relation too, so that graph attention works in both directions.
        ancestor_steps: Join concepts that no triple joins with the nearest concepts above and below them, or else with those that share an
            ancestor, at most this many steps up the hierarchy; 0 drops them, as the paper does.
        transe: How to train the entity vectors.
        overwrite: Replace an existing bundle, or write into a folder that holds other files; those stay.
    """
    output = storage.absolute(output)
    check_free(output, overwrite=overwrite or storage.exists(storage.join(output, METADATA_FILE)))
    merged = read_ontology_uris(ontology, umls=umls, language=language, leave_out=leave_out)
    manifest = LinksManifest.load(storage.absolute(links))
    check_links(manifest, ShardManifest.load(storage.absolute(shards)), merged)
    bundle, coverage = build_bundle(
        merged,
        manifest.counts,
        minimum_count=minimum_count,
        links_fingerprint=manifest.fingerprint,
        linker=manifest.linker_version,
        inverse_relations=inverse_relations,
        ancestor_steps=ancestor_steps,
        transe=transe,
    )
    save_bundle(bundle, output, overwrite=overwrite)
    print(f"knowledge {bundle.fingerprint}: {len(bundle.entities)} entities, {len(bundle.relations)} relations")
    print(f"  {coverage}")
    for entity in sorted(bundle.entities, key=lambda entity: -entity.count)[:10]:
        print(f"    {entity.count:8d}  {entity.concept}  {entity.name}")
    for line in describe_dropped(bundle.dropped[:10]):
        print(line)
    if lonely := coverage.concepts_frequent - coverage.concepts_kept:
        print(f"  {lonely} are mentioned often enough but share no triple; a higher --ancestor_steps joins them through their ancestors")
    print(f"knowledge: {output}")


def save_bundle(bundle: KnowledgeBundle, output: str, *, overwrite: bool) -> None:
    """Write the bundle, unless the folder already holds a different one."""
    if storage.exists(storage.join(output, METADATA_FILE)) and not overwrite:
        with storage.local_copy(output) as folder:
            found = KnowledgeBundle.load(folder).fingerprint
        if found != bundle.fingerprint:
            raise KnowledgeError(
                f"{output} holds another bundle ({found}, this one is {bundle.fingerprint}); choose another --output, or add --overwrite"
            )
        return
    with output_folder(output, last=METADATA_FILE, overwrite=overwrite) as new:
        bundle.save(new)


def inspect_knowledge(*, inspect: Place, concept: str | None = None, picture: Place | None = None, commonest: CountOrZero = 20) -> None:
    """Show the content of a knowledge bundle: sizes, degrees, the most common entities, and a concept's neighbours.

    Args:
        inspect: Folder of the bundle.
        concept: Identifier, name or synonym of a concept; shows its names and neighbours.
        picture: PNG file for a picture of the neighbourhood of the concept; of the most common entity by default.
        commonest: How many of the most common entities, and of the most common concepts that are no entities, to print.
    """
    if picture:
        storage.check_file_writable(storage.absolute(picture))
    bundle = open_knowledge(storage.absolute(inspect))
    entity = find_entity(bundle, concept) if concept else max(range(len(bundle.entities)), key=lambda index: bundle.entities[index].count)
    print(describe(bundle, commonest))
    if concept:
        print(describe_entity(bundle, entity))
    if picture:
        content = io.BytesIO()
        draw_neighbourhood(bundle, entity).savefig(content, format="png", dpi=120)
        storage.write_bytes(storage.absolute(picture), content.getvalue())
        print(f"picture: {picture}")


if __name__ == "__main__":
    run_job(inspect_knowledge if any(argument.startswith("--inspect") for argument in sys.argv) else knowledge)
