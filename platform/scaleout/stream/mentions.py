"""Vocabulary mentions in the texts of a window: flat columns instead of objects, joined by index arithmetic.

Legend: M mentions, T texts, N samples, R rows of the stream (one text of one sample each).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True, eq=False)
class Mentions:
    """Mentions in the order of their texts; mentions of one text may overlap."""

    text: np.ndarray
    """int64 [M], index of the text among all texts."""
    start: np.ndarray
    """int64 [M], first character."""
    end: np.ndarray
    """int64 [M], one past the last character."""
    entity: np.ndarray
    """int64 [M], entity id."""
    negated: np.ndarray
    """bool [M], whether the text negates it."""

    @classmethod
    def of(cls, links: pa.Table, entity_ids: Mapping[str, int]) -> "Mentions":
        """Select the spans of ``links`` (columns of ``LINKS_SCHEMA``) whose concept has an entity id."""
        concepts = _combined(links, "concept")
        place = pc.index_in(concepts.flatten(), value_set=pa.array(list(entity_ids), pa.string()))
        known = place.is_valid().to_numpy(zero_copy_only=False)
        ids = np.fromiter(entity_ids.values(), np.int64, len(entity_ids))
        columns = [_combined(links, name).flatten().to_numpy(zero_copy_only=False)[known] for name in ("start", "end", "negated")]
        start, end, negated = columns
        text = pc.list_parent_indices(concepts).to_numpy()[known]
        return cls(text, start.astype(np.int64), end.astype(np.int64), ids[place.drop_null().to_numpy()], negated)

    def spans(self, texts: np.ndarray) -> tuple[pa.ListArray, pa.ListArray, pa.ListArray]:
        """Return starts, ends and entities of chosen texts, int32; of overlapping spans, the longest of the leftmost.

        Args:
            texts: int64 [R], the text of each row, without repeats.
        """
        row = _rows_of(texts, self.text)
        order = np.lexsort((-self.end, self.start, row))
        order = order[np.searchsorted(row[order], 0) :]
        kept = order[_free_of_overlap(row[order], self.start[order], self.end[order])]
        starts, ends, entities = (_lists(row[kept], column[kept], len(texts)) for column in (self.start, self.end, self.entity))
        return starts, ends, entities

    def entities_of(self, samples: np.ndarray, sample_of_text: np.ndarray, *, label_negated: bool) -> pa.ListArray:
        """Return the entities of any text of chosen samples, int32, ascending, without repeats.

        Args:
            samples: int64 [R], the sample of each row, without repeats.
            sample_of_text: int64 [T].
            label_negated: Whether entities that every text negates count too.
        """
        row = _rows_of(samples, sample_of_text[self.text])
        counted = (row >= 0) & (label_negated | ~self.negated)
        entities = self.entity.max(initial=0) + 1
        found = np.unique(row[counted] * entities + self.entity[counted])
        return _lists(found // entities, found % entities, len(samples))


def _combined(table: pa.Table, name: str) -> pa.Array:
    return table.column(name).combine_chunks()


def _rows_of(chosen: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return the position of each index in ``chosen``, int64; -1 if it is absent."""
    places = np.full(max(chosen.max(initial=-1), indices.max(initial=-1)) + 1, -1)
    places[chosen] = np.arange(len(chosen))
    return places[indices]


def _free_of_overlap(row: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return bool, whether a span begins after all spans kept before it in its row; spans are sorted by row, start and length."""
    kept = np.ones(len(row), dtype=bool)
    last, free = -1, 0
    for index, (current, first, stop) in enumerate(zip(row.tolist(), start.tolist(), end.tolist(), strict=True)):
        if current != last:
            last, free = current, 0
        if first >= free:
            free = stop
        else:
            kept[index] = False
    return kept


def _lists(row: np.ndarray, values: np.ndarray, rows: int) -> pa.ListArray:
    """Return list<int32> [rows] of ``values``, which are sorted by row."""
    offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values, pa.int32()))
