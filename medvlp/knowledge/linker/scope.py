"""How far a denial reaches within its sentence."""

from collections.abc import Sequence
from dataclasses import dataclass

from medvlp.knowledge.linker.cues import Cue

_LIST = (Cue.COMMA, Cue.AND, Cue.OR)
_ENDS_LIST = (Cue.END, Cue.VERB, Cue.OPEN, Cue.AFTER, Cue.BEFORE, Cue.NEXT)
_ENDS_SUBJECT = (*_ENDS_LIST, Cue.SEEN, Cue.OPENED)


@dataclass(frozen=True, slots=True)
class Found:
    """A cue at ``text[start:stop]``."""

    cue: Cue
    start: int
    stop: int


def reach(cues: Sequence[Found], index: int, start: int, stop: int, *, only_next: bool = False) -> list[tuple[int, int]]:
    """Return the parts of ``start`` to ``stop`` that are denied.

    Args:
        cues: the cues of the sentence, in order.
        index: the first cue behind ``start``.
        start: where the denied part begins.
        stop: where it ends at the latest.
        only_next: whether it ends with the first item of a list.
    """
    scope = _Scope(cues, start, only_next=only_next)
    depth = 0
    for place in range(index, len(cues)):
        found = cues[place]
        if found.cue is Cue.CLOSED:
            if depth == 0:
                return scope.end(found.start)
            depth -= 1
            if depth == 0 and scope.paused_by is Cue.OPENED:
                scope.resume(found.stop)
        elif found.cue is Cue.OPENED:
            scope.pause(found)
            depth += 1
        elif depth == 0 and scope.ends_at(place):
            return scope.parts
    return scope.end(stop)


def subject(cues: Sequence[Found], index: int, start: int) -> tuple[int, int]:
    """Return the first cue and the first character of the subject of the denial ``cues[index]``, which follows it.

    It begins after the last clause, or after the last comma that does not belong to a list. ``start`` is that of the sentence.
    """
    begin = _subject(cues, index, start)
    first = index
    while first > 0 and cues[first - 1].start >= begin:
        first -= 1
    return first, begin


def is_item(cues: Sequence[Found], index: int) -> bool:
    """Return whether a denial stands in a list, each item with its own cue: "no effusion, no mass, large heart"."""
    return index > 0 and cues[index - 1].cue in _LIST


def continues(cues: Sequence[Found], index: int) -> bool:
    """Return whether a list continues to its last item: "…, effusion, or stone"."""
    for place in range(index, len(cues)):
        if cues[place].cue is Cue.OR:
            return True
        if cues[place].cue in _ENDS_LIST:
            return False
    return False


def _subject(cues: Sequence[Found], index: int, start: int) -> int:
    commas: list[int] = []
    joined = False
    depth = 0
    following = cues[index]
    for place in range(index - 1, -1, -1):
        found = cues[place]
        if found.cue is Cue.CLOSED:
            depth += 1
        elif found.cue is Cue.OPENED and depth:
            depth -= 1
        elif depth:
            continue
        elif found.cue in _ENDS_SUBJECT:
            if commas and not joined:
                return commas[0]
            return commas[-1] if commas and found.cue is not Cue.END else found.stop
        elif found.cue in (Cue.COMMA, Cue.AND) and following.cue is Cue.STATE and following.start <= found.stop + 1:
            return found.stop
        elif found.cue is Cue.COMMA:
            commas.append(found.stop)
        elif found.cue in (Cue.AND, Cue.OR):
            joined = joined or not commas
        following = found
    return commas[0] if commas and not joined else start


class _Scope:
    """The parts denied so far, while the cues of a sentence are read."""

    def __init__(self, cues: Sequence[Found], start: int, *, only_next: bool) -> None:
        self.parts: list[tuple[int, int]] = []
        self.paused_by: Cue | None = None
        self._cues = cues
        self._begin = start
        self._only_next = only_next
        self._clause: list[tuple[int, int]] | None = None
        """What was denied at the last comma or "and": all, if a new clause begins there."""
        self._is_clause = False
        """Whether a clause begins there rather than the last item of a list: ", and" after no other comma."""

    def ends_at(self, place: int) -> bool:
        """Read one cue; return whether the denial ends there."""
        found = self._cues[place]
        match found.cue:
            case Cue.COMMA | Cue.AND | Cue.OR:
                return self._ends_at_item(place)
            case Cue.PLACE:
                self.pause(found)
            case Cue.SEEN if not (self._is_clause and self._clause is not None):
                self.pause(found)
                self._clause = None
            case Cue.SUGGEST if self.paused_by is not None:
                self.resume(found.stop)
            case Cue.VERB | Cue.OPEN | Cue.AFTER | Cue.SEEN:
                self.parts = self.end(found.start) if self._clause is None else self._clause
                return True
            case Cue.STATE if self._clause is not None and self.paused_by is None and not continues(self._cues, place + 1):
                self.parts = self._clause
                return True
            case Cue.END | Cue.BEFORE | Cue.NEXT:
                self.parts = self.end(found.start)
                return True
        return False

    def _ends_at_item(self, place: int) -> bool:
        found = self._cues[place]
        following = self._cues[place + 1] if place + 1 < len(self._cues) else None
        adds_cause = following is not None and following.cue is Cue.SUGGEST and following.start <= found.stop + 1
        if self._only_next or (found.cue is Cue.COMMA and adds_cause):
            self.parts = self.end(found.start)
            return True
        if found.cue is Cue.OR:
            self._clause = None
        elif self.paused_by is None:
            if self._clause is None or found.cue is Cue.COMMA or not self._is_clause:
                self._is_clause = self._clause is None and following is not None and following.cue is Cue.AND
                self._clause = self.end(found.start)
        elif found.cue is Cue.COMMA and continues(self._cues, place + 1) and not self._is_place(place + 1):
            self.resume(found.stop)
        return False

    def _is_place(self, index: int) -> bool:
        """Return whether the next item of a list is a part of the body."""
        for place in range(index, len(self._cues)):
            if self._cues[place].cue is Cue.BODY:
                return True
            if self._cues[place].cue in _LIST:
                return False
        return False

    def pause(self, found: Found) -> None:
        """Deny nothing from ``found`` on."""
        if self.paused_by is None:
            self.parts = self.end(found.start)
            self.paused_by = found.cue

    def resume(self, place: int) -> None:
        """Deny again from ``place`` on."""
        self.paused_by, self._begin = None, place

    def end(self, place: int) -> list[tuple[int, int]]:
        """Return what is denied if the denial ends at ``place``."""
        return self.parts if self.paused_by is not None else [*self.parts, (self._begin, place)]
