"""Find the parts of a text that it denies: "no pneumothorax", "pneumonia: none".

The rules are those of NegEx (Chapman et al. 2001) and ConText (Harkema et al. 2009), with lists and clauses told apart by commas and verbs:

- A denial reaches to the end of its sentence, an ending such as "but", or the clause that follows: "no effusion, and the heart is large".
- Locations are not denied ("no mass in the liver"), but the rest of a list is: "no mass in the liver, effusion, or stone".
- What only looks like a denial ("no change in", "cannot be excluded") denies nothing.
- Words inside a name do not count: "no shortness of breath" denies the whole name.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import itemgetter

from medvlp.knowledge.linker.cues import HINT, PATTERN, SENTENCE, Cue
from medvlp.knowledge.linker.scope import Found, continues, is_item, reach, subject

Range = tuple[int, int]
"""A half-open range of characters."""


@dataclass(frozen=True, slots=True)
class _Denial:
    start: int
    stop: int
    follows: bool
    """Whether the denied part follows its cue; the end of a name that faces the cue must be inside."""


def denied_names(text: str, names: Sequence[Range]) -> set[Range]:
    """Return those of ``names`` that ``text`` denies.

    Args:
        text: one caption or report.
        names: character ranges of the mentioned concepts, ascending; cues inside a longer name are none.
    """
    text = text.replace("\u2019", "'")
    if not HINT.search(text):
        return set()
    denied: set[Range] = set()
    for start, stop in _sentences(text):
        inside = names[bisect_left(names, (start, 0)) : bisect_left(names, (stop, 0))]
        if inside and HINT.search(text, start, stop):
            by_end = sorted(inside, key=itemgetter(1))
            for denial in _in_sentence(_cues(text, start, stop, inside), start, stop):
                if denial.follows:
                    denied.update(inside[bisect_left(inside, (denial.start, 0)) : bisect_left(inside, (denial.stop, 0))])
                else:
                    first, last = (bisect_right(by_end, place, key=itemgetter(1)) for place in (denial.start, denial.stop))
                    denied.update(by_end[first:last])
    return denied


def _sentences(text: str) -> Iterator[Range]:
    start = 0
    for end in SENTENCE.finditer(text):
        yield start, end.start()
        start = end.end()
    yield start, len(text)


def _cues(text: str, start: int, stop: int, names: Sequence[Range]) -> list[Found]:
    starts = [first for first, _ in names]
    ends = list(accumulate((last for _, last in names), max))

    def in_name(first: int, last: int) -> bool:
        before, longest = bisect_left(starts, first), bisect_right(starts, first)
        return (before > 0 and ends[before - 1] >= last) or (longest > before and names[longest - 1][1] > last)

    return [
        Found(Cue[str(match.lastgroup)], match.start(), match.end())
        for match in PATTERN.finditer(text, start, stop)
        if not in_name(match.start(), match.end())
    ]


def _in_sentence(cues: Sequence[Found], start: int, stop: int) -> Iterator[_Denial]:
    denied_before = False
    for index, found in enumerate(cues):
        match found.cue:
            case Cue.BEFORE | Cue.NEXT:
                one = found.cue is Cue.NEXT or (denied_before and is_item(cues, index) and not continues(cues, index + 1))
                yield from (_Denial(*part, follows=True) for part in reach(cues, index + 1, found.stop, stop, only_next=one))
                denied_before = True
            case Cue.AFTER:
                first, begin = subject(cues, index, start)
                yield from (_Denial(*part, follows=False) for part in reach(cues[:index], first, begin, found.start))
