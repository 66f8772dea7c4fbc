"""Recall and precision of what the linker takes as denied, by kind of cue, on labelled sentences.

``denials/sentences.tsv`` holds sentences in the style of reports, written for this purpose by somebody who had not seen the rules.
``denials/captions.tsv`` labels 300 sentences of real captions: the sha256 of the sentence, and where the mention stands; the captions
themselves are read from ``--data``. The rules were tuned on one half of both; quote only the other half.
"""

import csv
import hashlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medvlp.knowledge.linker.dictionary import Span, flag_denied
from performance.measure import machine, run_benchmark

LABELS = Path(__file__).with_name("denials")
KINDS = {
    "resolved, resolution of": r"\bresol|\bcleared|\bdisappear",
    "looks like a denial": r"\bno \w*\s?(?:change|increase|only)|\bnot only|rule out|excluded?\b|without (?:\w+ )?contrast",
    "is not seen, absent, none": r"\bnot (?:\w+ ){0,2}(?:seen|identified|visible|present|evident|detected|noted)"
    r"|absent|\bnone\b|: no\b|n't ",
    "denies": r"\bden(?:y|ies|ied)",
    "neither, nor": r"\bn?either|\bnor\b",
    "free of, negative for": r"\b(?:free|clear|devoid) (?:of|from)|negative",
    "absence of, lack of": r"\babsence|\black",
    "without": r"\bwithout|\bw/o",
    "not, never": r"\bnot\b|\bnever\b|cannot",
    "no": r"\bno\b",
}
"""Kinds of cues, the first that is nearest to a mention is its kind."""
_SENTENCE = re.compile(r"(?<=[.;!?])\s+|\n+")


@dataclass(frozen=True)
class Labelled:
    """A sentence, and for each mention whether it is denied."""

    text: str
    mentions: dict[tuple[int, int], bool]
    half: str


def written_sentences() -> Iterator[Labelled]:
    """Yield the sentences that were written for this purpose."""
    for row in _rows("sentences.tsv"):
        mentions = {}
        for mention in row["mentions"].split("; "):
            name, _, label = mention.rpartition("=")
            start = row["text"].index(name)
            mentions[start, start + len(name)] = label == "denied"
        yield Labelled(row["text"], mentions, row["half"])


def caption_sentences(data: Path) -> Iterator[Labelled]:
    """Yield the labelled sentences of the captions in ``data``."""
    labels: dict[str, dict[tuple[int, int], bool]] = defaultdict(dict)
    halves = {}
    for row in _rows("captions.tsv"):
        labels[row["sentence"]][int(row["start"]), int(row["end"])] = row["label"] == "denied"
        halves[row["sentence"]] = row["half"]
    for text in _captions(data):
        for sentence in map(str.strip, _SENTENCE.split(text)):
            key = hashlib.sha256(sentence.encode()).hexdigest()[:16]
            if key in labels:
                yield Labelled(sentence, labels.pop(key), halves[key])
    if labels:
        raise SystemExit(f"{data}: {len(labels)} labelled sentences are not in the captions: are these the same files?")


def counts(sentences: list[Labelled]) -> dict[str, tuple[int, int, int]]:
    """Return for each kind: denied mentions that are found, mentions that are found, denied mentions."""
    table: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0])
    for sentence in sentences:
        spans = [Span(start, end, "finding") for start, end in sorted(sentence.mentions)]
        for span in flag_denied(spans, sentence.text):
            denied = sentence.mentions[span.start, span.end]
            row = table[_kind(sentence.text, span)]
            row[0] += denied and span.negated
            row[1] += span.negated
            row[2] += denied
    return {kind: (row[0], row[1], row[2]) for kind, row in table.items()}


def negation(*, data: Path | None = None) -> dict[str, Any]:
    """Print recall and precision of denials by kind of cue, and sentences per second.

    Args:
        data: Folder with roco_annotations, medpix2 and covid_chestxray; without it, only the written sentences are used.
    """
    sets = {"written sentences": list(written_sentences())}
    if data is not None:
        sets["real captions"] = list(caption_sentences(data))
    figures: dict[str, Any] = {}
    for name, sentences in sets.items():
        for half in ("tuning", "other"):
            chosen = [sentence for sentence in sentences if sentence.half == half]
            table = counts(chosen)
            total = tuple(sum(row[place] for row in table.values()) for place in range(3))
            print(f"\n{name}, {half} half, {len(chosen)} sentences{'recall':>20}{'precision':>11}{'denied':>8}")
            for kind, row in [*((kind, table[kind]) for kind in KINDS if kind in table), ("all", (total[0], total[1], total[2]))]:
                print(f"  {kind:42}{_ratio(row[0], row[2])}{_ratio(row[0], row[1])}{row[2]:8}")
            figures[f"{name}, {half}"] = {"found": total[0], "flagged": total[1], "denied": total[2], "by_kind": table}
        begin = time.process_time()
        counts(sentences)
        print(f"{len(sentences) / (time.process_time() - begin):.0f} sentences/s with a cue")
    return {"machine": machine(), "figures": figures}


def _kind(text: str, span: Span) -> str:
    def distance(kind: str) -> int:
        places = [min(abs(cue.end() - span.start), abs(cue.start() - span.end)) for cue in re.finditer(KINDS[kind], text, re.IGNORECASE)]
        return min(places, default=len(text))

    return min(KINDS, key=distance)


def _ratio(part: int, whole: int) -> str:
    return f"{part / whole:11.3f}" if whole else f"{'':11}"


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (LABELS / name).open(encoding="utf-8") as lines:
        yield from csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)


def _captions(data: Path) -> Iterator[str]:
    for line in (data / "roco_annotations" / "validation" / "radiology" / "captions.txt").read_text(encoding="utf-8").splitlines():
        yield line.partition("\t")[2]
    for corpus in ("medpix2", "covid_chestxray"):
        for line in (data / corpus / "captions.jsonl").read_text(encoding="utf-8").splitlines():
            yield json.loads(line)["text"]


if __name__ == "__main__":
    run_benchmark(negation)
