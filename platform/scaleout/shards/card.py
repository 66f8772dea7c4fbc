"""The dataset card of a folder of shards: counts only, never a text or a file name."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from medvlp.corpora.corpus import Grouping
from scaleout.io import storage
from scaleout.shards.duplicates import overlaps_between_splits, read_tables, repeated_images
from scaleout.shards.manifest import ShardManifest
from scaleout.shards.sidecar import read_all_samples

CARD_FILE = "card.md"
CARD_RECORD = "card.json"


def write_card(folder: str, manifest: ShardManifest, grouping: Grouping) -> None:
    """Write the card to the folder of the shards, as Markdown and as JSON."""
    record = card_record(folder, manifest, grouping)
    storage.write_bytes(storage.join(folder, CARD_RECORD), json.dumps(record, ensure_ascii=False, indent=1).encode())
    storage.write_bytes(storage.join(folder, CARD_FILE), card_text(record).encode())


def read_card(folder: str) -> str:
    """Read the card as text."""
    return storage.read_bytes(storage.join(folder, CARD_FILE)).decode()


def card_record(folder: str, manifest: ShardManifest, grouping: Grouping) -> dict[str, Any]:
    """Return the content of the card as JSON values."""
    tables = read_tables(folder, manifest)
    groups = {split: _groups(folder, manifest, split) for split, rows in manifest.splits.items() if rows}
    return {
        "corpus": manifest.corpus,
        "fingerprint": manifest.fingerprint,
        "source": manifest.source,
        "public": manifest.public,
        "shards": len(manifest.shards),
        "left_out": dict(manifest.left_out),
        "grouping": asdict(grouping),
        "shared_groups": sum(map(len, groups.values())) - len(set().union(*groups.values())),
        "splits": {
            split: {
                "samples": rows,
                "groups": len(groups.get(split, ())),
                "images": len(tables[split]) if split in tables else 0,
                "repeated_images": repeated_images(tables[split]) if split in tables else 0,
                "texts": manifest.texts[split],
                "words": _lengths({int(words): texts for words, texts in manifest.words[split].items()}),
                "modalities": manifest.modalities[split],
                "dropped": manifest.dropped[split],
            }
            for split, rows in manifest.splits.items()
        },
        "shared_images": {name: overlap.summary() for name, overlap in overlaps_between_splits(tables).items()},
    }


def card_text(record: Mapping[str, Any]) -> str:
    """Format the card as Markdown."""
    lines = [
        f"# {record['corpus']}",
        "",
        f"{record['shards']} shards, fingerprint `{record['fingerprint']}`, made from files with fingerprint `{record['source']}`. "
        + ("Its images may be shown." if record["public"] else "Its images are not shown unless asked for."),
        "",
        "| split | samples | groups | images | of these with a near copy | texts | words in a text: median, 5 % to 95 % | dropped "
        "| modalities |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for split, part in record["splits"].items():
        words = part["words"]
        span = f"{words['median']}, {words['low']} to {words['high']}" if words else ""
        modalities = ", ".join(f"{name or 'unknown'} {count:,}" for name, count in part["modalities"].items())
        dropped = sum(part["dropped"].values())
        images = f"{part['groups']:,} | {part['images']:,} | {part['repeated_images']:,}"
        lines.append(f"| {split} | {part['samples']:,} | {images} | {part['texts']:,} | {span} | {dropped:,} | {modalities} |")
    kinds = ", ".join(f"{kind} for {items:,} items" for kind, items in record["grouping"]["kinds"].items())
    shared = record["shared_groups"]
    lines += [
        "",
        f"What must stay in one split (the group): {kinds or 'unknown'}. The splits are {record['grouping']['splits']}. "
        + (f"**{shared:,} groups are in two splits.**" if shared else "No group is in two splits."),
    ]
    reasons = [(split, reason, count) for split, part in record["splits"].items() for reason, count in part["dropped"].items()]
    reasons += [("not read", reason, count) for reason, count in record["left_out"].items() if count]
    if reasons:
        lines += [
            "",
            "| left out | of | why |",
            "|---|---|---|",
            *(f"| {count:,} | {split} | {reason} |" for split, reason, count in reasons),
        ]
    shared_images = {name: part for name, part in record["shared_images"].items() if part["shared"]}
    if shared_images:
        lines += ["", "| images that are in two splits | of | by name | by picture |", "|---|---|---|---|"]
        lines += [
            f"| {name}: {part['shared']:,} | {part['images']:,} | {part['by_name']:,} | {part['by_picture']:,} |"
            for name, part in shared_images.items()
        ]
    elif record["shared_images"]:
        lines += ["", "No image is in two splits, by name or by picture."]
    return "\n".join(lines) + "\n"


def _groups(folder: str, manifest: ShardManifest, split: str) -> set[str]:
    tables = read_all_samples(folder, manifest.shards_of(split), ["group"])
    return {group for table in tables for group in table.column("group").unique().to_pylist()}


def _lengths(words: Mapping[int, int]) -> dict[str, int]:
    """Return quantiles of the number of words; empty if there are no texts."""
    texts = sum(words.values())
    if not texts:
        return {}
    quantiles = {"low": 0.05, "median": 0.5, "high": 0.95}
    found = {}
    for name, quantile in quantiles.items():
        seen = 0
        for length in sorted(words):
            seen += words[length]
            if seen >= quantile * texts:
                found[name] = length
                break
    return found
