"""Find the concepts of an ontology in every text of the shards, and write them as sidecar files."""

from collections import Counter
from typing import Literal

from medvlp.knowledge.leave_out import NOTHING, LeaveOut
from medvlp.knowledge.linker.dictionary import DictionaryLinker, Linker
from medvlp.knowledge.linker.scispacy import ScispacyConfig, ScispacyLinker
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.rrf import EVERYTHING, UMLSFilter
from medvlp.values import CountOrZero
from scaleout.cli import run_job
from scaleout.io import storage
from scaleout.io.places import Place
from scaleout.links.link import link_shards
from scaleout.links.manifest import LinksManifest
from scaleout.links.ontologies import read_ontology_uris

PAPER = ScispacyConfig()


def link(
    *,
    shards: Place,
    ontology: list[Place],
    output: Place,
    umls: UMLSFilter = EVERYTHING,
    language: str = "en",
    leave_out: LeaveOut = NOTHING,
    linker: Literal["dictionary", "scispacy"] = "dictionary",
    scispacy: ScispacyConfig = PAPER,
    commonest: CountOrZero = 10,
    overwrite: bool = False,
) -> None:
    """Find the concepts of an ontology in every text of the shards, and write them as sidecar files.

    The shards are only read, so a change of ontology or linker never rewrites images. If the job was killed, run the same command again: it
    makes only what is missing.

    Args:
        shards: Shards: a folder, or s3://bucket/folder.
        ontology: OBO or OWL file, folder with triples.tsv and entities.tsv, or folder with UMLS RRF files; repeat to merge several.
        output: Destination of the links.
        umls: Which rows of the UMLS files to use.
        language: Language of the names in OWL and SKOS files, as in xml:lang; names without a language are read too.
        leave_out: Concepts of the ontologies to leave out.
        linker: How to find concepts: by the names in the ontology, or with scispaCy's UMLS linker, which must be installed.
        scispacy: Settings of scispaCy's linker.
        commonest: How many of the most common concepts to print.
        overwrite: Replace existing links of other shards or by another ontology or linker.
    """
    output = storage.absolute(output)
    merged = read_ontology_uris(ontology, umls=umls, language=language, leave_out=leave_out)
    chosen: Linker = DictionaryLinker.build(merged) if linker == "dictionary" else ScispacyLinker.build(merged, scispacy)
    manifest = link_shards(storage.absolute(shards), merged, chosen, output, overwrite=overwrite)
    print(links_card(manifest, merged, commonest))
    print(f"links: {output}")


def links_card(manifest: LinksManifest, ontology: Ontology, commonest: int) -> str:
    """Return a short summary of what was found."""
    names = {concept.id: concept.name for concept in ontology.concepts}
    texts = max(manifest.texts, 1)
    spans = max(manifest.spans, 1)
    lines = [
        f"ontology {manifest.ontology} ({manifest.ontology_fingerprint}), {len(names)} concepts; linker {manifest.linker_version}",
        f"  {manifest.texts} texts, {manifest.linked_texts} with a concept ({manifest.linked_texts / texts:.1%})",
        f"  {manifest.spans} spans, {manifest.spans / texts:.1f} per text, {manifest.negated_spans / spans:.1%} denied; "
        f"{len(manifest.counts)} concepts in the training split",
    ]
    lines += [f"    {count:8d}  {concept}  {names[concept]}" for concept, count in Counter(manifest.counts).most_common(commonest)]
    return "\n".join(lines)


if __name__ == "__main__":
    run_job(link)
