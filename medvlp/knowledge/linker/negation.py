"""Find the negated parts of a text: a small NegEx (Chapman et al. 2001).

"no evidence of pneumothorax or effusion" negates what follows, "pneumothorax is excluded" what precedes. A negation ends with the sentence,
at a word like "but", at a location ("no metastasis in the liver", "no abnormality of the liver"), or after a few words. "no change" and
similar phrases negate nothing.
"""

import re

_REACH = 8
"""Maximum number of negated words; Chapman et al. use five, too few for lists ("no effusion, consolidation or pneumothorax")."""

_BEFORE = (
    "no",
    "not",
    "without",
    "absence of",
    "absent",
    "denies",
    "denied",
    "free of",
    "negative for",
    "lack of",
    "lacks",
    "never",
    "neither",
    "nor",
    "rule out",
    "rules out",
    "ruled out",
    "excludes",
    "excluding",
    "fails to show",
)
_SEEN = r"not\s+(?:seen|identified|detected|visible|visuali[sz]ed)"
_AFTER = (rf"(?:is|are|was|were|has been|have been)\s+(?:ruled out|excluded|absent|not present|{_SEEN})", _SEEN)
_FALSE = r"(?:no|not|without)\s+(?:\w+\s+)?(?:change|increase|decrease|difference|only|necessarily|further|longer|certain)"
_SIGNS = ("evidence", "sign", "signs", "presence", "suggestion", "suspicion", "indication", "features", "history")
"""Words after which "of" introduces what is negated; after any other word it introduces the location: "no abnormality of the liver"."""
_END = re.compile(
    r"[.;:?!](?=\s|$)"
    rf"|{''.join(f'(?<!{sign} )' for sign in _SIGNS)}\bof\b"
    r"|\b(?:is|are|was|were|but|however|although|though|except|yet|which|because|as|due to|secondary to|with|showing|shows"
    r"|in|within|inside|outside|at|on|to|from|near|between|along|around|after|before|during|through|throughout)\b",
    re.IGNORECASE,
)
_WORDS = re.compile(rf"(?:\W*\w+){{0,{_REACH}}}")
_WORDS_BACK = re.compile(rf"(?:\w+\W*){{0,{_REACH}}}$")
_TRIGGER = re.compile(
    rf"\b(?:(?P<false>{_FALSE})|(?P<after>{'|'.join(_AFTER)})|(?P<before>{'|'.join(word.replace(' ', r' +') for word in _BEFORE)}))\b",
    re.IGNORECASE,
)
_HINT = re.compile(r"\b(?:no|not|without|abs|den|free|neg|lack|never|neither|nor|rule|exclu|fails)", re.IGNORECASE)


def negated_ranges(text: str) -> list[tuple[int, int]]:
    """Return the half-open character ranges of ``text`` that are negated, in text order; they may overlap."""
    if not _HINT.search(text):
        return []
    ranges = []
    for trigger in _TRIGGER.finditer(text):
        match trigger.lastgroup:
            case "before":
                ranges.append(_following(text, trigger.end()))
            case "after":
                ranges.append(_preceding(text, trigger.start()))
    return ranges


def _following(text: str, start: int) -> tuple[int, int]:
    reach = _WORDS.match(text, start)
    stop = reach.end() if reach else start
    end = _END.search(text, start, stop)
    return start, end.start() if end else stop


def _preceding(text: str, stop: int) -> tuple[int, int]:
    start = text.rfind(",", 0, stop) + 1
    for end in _END.finditer(text, start, stop):
        start = end.end()
    reach = _WORDS_BACK.search(text, start, stop)
    return (reach.start() if reach else start), stop
