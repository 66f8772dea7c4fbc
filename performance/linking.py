"""Quality and speed of linking, against the concepts of ROCO's annotators and against plain longest match.

A caption's concepts are compared as sets, restricted to those of the graph ``kg/cui_kg``. The rules were developed on the tuning half (an
even sha256 of the image's name); quote only the other half.
"""

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import ahocorasick

from medvlp.knowledge.linker.dictionary import DictionaryLinker, Span, leftmost_longest
from medvlp.knowledge.ontology import Ontology
from medvlp.knowledge.readers.registry import read_ontology
from performance.measure import machine, run_benchmark

Link = Callable[[str], Iterable[Span]]


@dataclass(frozen=True)
class Caption:
    """One caption and the concepts of the graph found by its annotators."""

    text: str
    concepts: frozenset[str]


@dataclass(frozen=True)
class Score:
    """Concepts as sets per caption, summed over captions."""

    recall: float
    precision: float
    found: int
    annotated: int


class PlainLinker:
    """The peer: names of three characters or more in any letter case, at word boundaries, with or without an s after them.

    If several concepts have the name, the smallest identifier wins.
    """

    def __init__(self, ontology: Ontology) -> None:
        self.automaton = ahocorasick.Automaton()
        owners: dict[str, str] = {}
        for concept in ontology.concepts:
            for name in (concept.name, *concept.synonyms):
                if len(name) >= 3:
                    owners.setdefault(name.lower(), concept.id)
                    owners.setdefault(name.lower() + "s", concept.id)
        for key, owner in owners.items():
            self.automaton.add_word(key, (len(key), owner))
        self.automaton.make_automaton()

    def nested(self, text: str) -> list[Span]:
        """Find all matches."""
        lowered = text.lower()
        spans = []
        for last, (length, concept) in self.automaton.iter(lowered):
            start, end = last + 1 - length, last + 1
            if not (lowered[start - 1 : start].isalnum() or lowered[end : end + 1].isalnum()):
                spans.append(Span(start, end, concept))
        return spans

    def longest(self, text: str) -> list[Span]:
        """Find the leftmost longest matches."""
        return leftmost_longest(self.nested(text))


def read_captions(folder: Path, known: set[str]) -> tuple[list[Caption], list[Caption]]:
    """Read the tuning half and the other half."""
    halves: tuple[list[Caption], list[Caption]] = ([], [])
    texts, concepts = ((folder / name).read_text(encoding="utf-8").splitlines() for name in ("captions.txt", "cuis.txt"))
    for line, row in zip(texts, concepts, strict=True):
        image, _, text = line.partition("\t")
        other, *found = row.split("\t")
        if image != other.strip():
            raise SystemExit(f"{folder}: captions.txt and cuis.txt disagree at {image}")
        halves[hashlib.sha256(image.encode()).digest()[0] & 1].append(Caption(text.strip(), frozenset(found) & known))
    return halves


def score(link: Link, captions: list[Caption]) -> Score:
    """Return recall and precision of the concepts of ``link``."""
    hits = found = 0
    for caption in captions:
        concepts = {span.concept for span in link(caption.text)}
        hits, found = hits + len(concepts & caption.concepts), found + len(concepts)
    annotated = sum(len(caption.concepts) for caption in captions)
    return Score(round(hits / annotated, 4), round(hits / found, 4), found, annotated)


def rate(link: Link, captions: list[Caption]) -> float:
    """Return captions per second of processor time; the best of three."""
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        for caption in captions:
            link(caption.text)
        seconds.append(time.process_time() - begin)
    return len(captions) / min(seconds)


def print_most_common(link: Link, captions: list[Caption], names: dict[str, str], number: int) -> None:
    """Print the most common misses and false hits."""
    missed: Counter[str] = Counter()
    false: Counter[tuple[str, str]] = Counter()
    for caption in captions:
        surfaces = {span.concept: caption.text[span.start : span.end].lower() for span in link(caption.text)}
        missed.update(caption.concepts - surfaces.keys())
        false.update((surfaces[concept], concept) for concept in surfaces.keys() - caption.concepts)
    print("\nmost common misses: " + ", ".join(f"{names[concept]} {count}" for concept, count in missed.most_common(number)))
    hits = (f"{surface} → {names[concept]} {count}" for (surface, concept), count in false.most_common(number))
    print("\nmost common false hits: " + ", ".join(hits))


def print_disagreements(link: Link, captions: list[Caption], names: dict[str, str], number: int) -> None:
    """Print random disagreements for manual review."""
    rows = []
    for caption in captions:
        spans = list(link(caption.text))
        found = {span.concept for span in spans}
        rows += [
            ("false", span.concept, caption.text, caption.text[span.start : span.end])
            for span in spans
            if span.concept not in caption.concepts
        ]
        rows += [("missed", concept, caption.text, "") for concept in sorted(caption.concepts - found)]
    rows = sorted(set(rows))
    for kind, concept, text, surface in random.Random(0).sample(rows, number):
        print(f"{kind}\t{surface}\t{concept} {names[concept]}\t{text}")


def linking(*, data: Path, disagreements: int = 0) -> dict[str, Any]:
    """Compare linked concepts with those of ROCO's annotators, and the speed with that of plain longest match.

    Args:
        data: Folder with kg/cui_kg and roco_annotations.
        disagreements: How many random disagreements of the other half to print.
    """
    ontology = read_ontology(data / "kg" / "cui_kg")
    names = {concept.id: concept.name for concept in ontology.concepts}
    halves = read_captions(data / "roco_annotations" / "validation" / "radiology", set(names))
    everything = [caption for half in halves for caption in half]
    plain, linker, listed = PlainLinker(ontology), DictionaryLinker.build(ontology), DictionaryLinker.build(ontology, derive=False)
    links: dict[str, Link] = {
        "plain longest match": plain.longest,
        "plain, nested kept": plain.nested,
        "linker without implied names": listed.link,
        "linker, spans without overlap": lambda text: leftmost_longest(linker.link(text)),
        "linker": linker.link,
    }
    figures: dict[str, Any] = {}
    speeds = {}
    print(f"{len(everything)} captions, {len(names)} concepts; recall and precision\n")
    print(f"{'':32}{'tuning half':>16}{'other half':>16}{'captions/s':>12}")
    for name, link in links.items():
        tuning, other = (score(link, half) for half in halves)
        speed = speeds[name] = rate(link, everything)
        figures[name] = {"tuning": asdict(tuning), "other": asdict(other), "captions_per_second": round(speed)}
        print(f"{name:32}{tuning.recall:8.3f} {tuning.precision:7.3f}{other.recall:8.3f} {other.precision:7.3f}{speed:12.0f}")
    ratio = speeds["linker"] / speeds["plain longest match"]
    print(f"\nthe linker processes {ratio:.2f} times as many captions per second as plain longest match")
    print_most_common(linker.link, halves[1], names, 25)
    print_disagreements(linker.link, halves[1], names, disagreements)
    return {"machine": machine(), "captions": len(everything), "figures": figures, "ratio_to_plain": round(ratio, 3)}


if __name__ == "__main__":
    run_benchmark(linking)
