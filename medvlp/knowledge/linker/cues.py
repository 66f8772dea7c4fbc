"""Phrases that deny, that only look like a denial, and that end the reach of one; ``negation`` applies them.

The phrases follow the published lists of NegEx (Chapman et al. 2001), ConText (Harkema et al. 2009) and NegBio (Peng et al. 2018), written
as regular expressions over their common forms.
"""

import re
from enum import Enum, auto


class Cue(Enum):
    """What a phrase does to the text around it."""

    OPEN = auto()
    """Denies nothing, and what it contains denies nothing either: "no change in", "cannot be excluded", "rule out"."""
    AFTER = auto()
    """Denies what precedes it: "is not seen", ": none"."""
    NEXT = auto()
    """Denies the noun phrase that follows it: "absent", "resolved"."""
    BEFORE = auto()
    """Denies what follows it: "no", "without"."""
    SUGGEST = auto()
    """Extends a denial to a cause, also behind a location: "no opacity in the lung to suggest pneumonia"."""
    PART = auto()
    """Is part of a denial: "signs of", "on the left"."""
    SEEN = auto()
    """Ends a denial that precedes it, except for the rest of a list: "is seen"."""
    END = auto()
    """Ends a denial: "but", "due to"."""
    VERB = auto()
    """Ends a denial where its clause begins: "no effusion, and the heart *is* large"."""
    STATE = auto()
    """Begins something that is present, after a comma or "and": "no effusion, *stable* cardiomegaly"."""
    BODY = auto()
    """A part of the body, which is a location in a list of locations: "no mass in the liver, spleen or pancreas"."""
    PLACE = auto()
    """Introduces a location, which is not denied: "no mass *in* the liver"."""
    OR = auto()
    AND = auto()
    COMMA = auto()
    OPENED = auto()
    """An opening bracket."""
    CLOSED = auto()
    """A closing bracket."""


_BE = r"(?:is|are|was|were|be|been|being|has been|have been|had been|remains?|appears?|seems?)"
_FINITE = r"(?:is|are|was|were|has been|have been|had been|can be|could be)"
_HAVE = r"(?:has|have|had)"
_NOT = r"(?:not|never|no longer)"
_CANNOT = r"(?:(?:can|could|may|might|would|does|do|did) not|cannot|(?:ca|could|does|do|did)n't)"
_HOW = r"(?:(?!partially|partly|nearly|incompletely)(?:\w+ly|yet|been|well|to be|also|felt|thought|believed|considered) ){0,3}"
_SEEN = (
    r"(?:seen|identified|detected|visible|visuali[sz]ed|present|evident|apparent|noted|noticed|observed|found|demonstrated|demonstrable|shown"
    r"|appreciated|suspected|depicted|recogni[sz]ed|discernible|detectable|identifiable|documented|reported|suggested|confirmed|revealed"
    r"|reproduced|heard|palpated|palpable|elicited)"
)
_SHOW = (
    r"(?:show|reveal|demonstrate|have|has|had|identify|see|detect|visuali[sz]e|disclose|display|find|exhibit|suggest|indicate|confirm|include"
    r"|contain)"
)
_SHOWED = r"(?:shows?|showed|shown|demonstrates?|demonstrated|reveals?|revealed|noticed|reports?|reported)"
_DEGREE = (
    r"(?:(?:significant|significantly|interval|apparent|appreciable|definite|obvious|marked|major|substantial|further|real|clear|notable"
    r"|overall|acute|other|such|any|suspicious|radiographic|evidence|evident|signs?|much|of|specific|clinical|visible|detectable"
    r"|discernible) ){0,4}"
)
_CHANGE = (
    r"(?:change|increase|decrease|difference|improvement|worsening|progression|regression|growth|alteration|evolution|response|union"
    r"|resolution|clearing)s?"
)
_PARTLY = r"(?:partially|partly|nearly|almost|incompletely)"
_EARLIER = r"(?:prior|previous|earlier|older|last|initial|first|preceding|comparison|\d{4})"
_CONTRAST = r"(?:(?:iv|i\.v\.|intravenous|oral|additional|the use of|use of|any) )*(?:contrast|gadolinium)"
_CONTRAST_MOVES = (
    r"(?: (?:medium|media|material|agent|dye))?"
    r" (?:extravasat|leak|enhanc|uptake|opacif|filling|accumul|pool|spill|reflux|passage|seen)"
)
_SIGN = (
    r"(?:evidence|signs?(?: (?:or|and) symptoms?)?|symptoms?|presence|suggestion|suspicion|indications?|features?|findings?|history|areas?"
    r"|foci|focus|amounts?|degree|trace|hint|stigmata|manifestations?|complaints?|episodes?|characteristics|appearances?|recurrence|development"
    r"|types?|kind|forms?|cases?|absence|resolution|question|possibility|concern)"
)
_STOP = r"(?=\s*(?:[.,;:)]|$))"
_STOP_OR_PLACE = r"(?=\s*(?:[.,;:)]|$)|\s+(?:by|on|at|in|from|with|within|after|during|and|to|since|following)\b)"

_PHRASES: dict[Cue, tuple[str, ...]] = {
    Cue.OPEN: (
        rf"(?:no|not|without|nor) {_DEGREE}{_CHANGE}",
        r"(?:no|not) (?:only|necessarily|just|merely|simply|certain|sure|clear|doubt|need|indication|possible|drain|extend|cause|explain)",
        r"(?:no|not) (?:more|less|fewer) than",
        r"not (?:an? )?(?:contraindication|requir\w*)",
        r"(?:with|and|or)(?:/| or | and )without",
        r"(?:without|w/o) (?:treatment|therapy|surgery|antibiotics)",
        rf"(?:without|w/o) {_CONTRAST}(?!{_CONTRAST_MOVES})",
        r"whether or not|if (?:no|not)|why not|gram[- ]negative",
        rf"(?:{_CANNOT}|(?:{_BE}|{_HAVE}) not|not|unable to|impossible to|difficult to|hard to) {_HOW}(?:be )?{_HOW}"
        r"(?:exclude[ds]?|ruled? out|rule|eliminated?|dismissed|discounted)",
        rf"(?:(?:{_BE}|{_HAVE}) )?not {_HOW}(?:resolved|cleared|disappeared|changed|previously {_SEEN})",
        rf"(?:(?:{_BE}|{_HAVE}) )?not {_HOW}{_SEEN} (?:\w+ ){{0,2}}?(?:previously|before|(?:on|in|at) (?:(?:the|a|any) )?{_EARLIER})",
        r"(?:should|must|may|might|could|would|to|needs? to|has to|have to) be (?:ruled out|excluded)",
        r"(?:to|please|and|must|should) exclude|rule out|r/o",
        r"(?:partial|incomplete|near|nearly|almost complete|near[- ]complete|slow|gradual) (?:\w+ )?resolution",
        rf"{_PARTLY} resolved",
    ),
    Cue.AFTER: (
        rf"(?:(?:{_BE}|{_HAVE}) )?{_HOW}{_NOT} {_HOW}{_SEEN}",
        rf"{_CANNOT} {_HOW}(?:be )?{_HOW}{_SEEN}",
        rf"(?:has|have|had|did|does|do)(?: not|n't) {_HOW}(?:recur|occur|develop)(?:red|ed)?",
        rf"(?:is|are|was|were|has|have|had)n't {_HOW}{_SEEN}",
        rf"{_BE} {_HOW}\w+ (?:but|and) (?:(?:was|were|been|later|then|subsequently) ){{0,2}}(?:ruled out|excluded|{_NOT} {_SEEN})",
        rf"{_BE} {_HOW}(?:absent|negative(?! for)|excluded|ruled out(?! for)|unlikely(?! to)|denied|resolved|none|lacking|missing|gone)",
        rf"{_HAVE} {_HOW}(?:resolved|cleared|disappeared|vanished|normali[sz]ed)",
        rf":\s*(?:no|none|negative|denied|absent|nil|not {_SEEN}|-|\(-\)){_STOP}",
        rf",\s*none(?: {_SEEN})?{_STOP}",
        rf"(?:absent|none|negative|nil|\(-\))(?: \w+ly)?{_STOP}",
        rf"(?:ruled out|excluded|resolved|disappeared|cleared){_STOP_OR_PLACE}",
        r"unlikely(?=\s*(?:[.,;)]|$)|\s+(?:in|on|given)\b)",
    ),
    Cue.NEXT: ("absent|resolved|nonexistent|disappeared",),
    Cue.BEFORE: (
        rf"(?:do|does|did|has|have|had|was|were|is|are|could|would)(?: not|n't) {_HOW}{_SHOW}",
        rf"not {_HOW}(?:complain(?:ed|ing)? of|associated with|accompanied by|complicated by|responsible for)",
        r"no (?:reason|grounds|cause) to (?:suspect|believe)",
        r"(?:unlikely|not) (?:to (?:be|represent|reflect)|due to)",
        r"(?:able to|can|to help|helps?|helped|enough to|sufficient to|adequate to) (?:rule out|exclude)",
        r"(?:rules?|ruled|ruling) (?:him |her |the patient |them )?out(?: for| against)?",
        rf"fail(?:s|ed|ure)? to {_SHOW}",
        r"den(?:y|ies|ied|ying|eis)(?: that \w+ (?:has|have|had|is)(?: had)?| having)?",
        r"ab(?:s|sc)ence of|lack(?:s|ed|ing)?(?: of)?|(?:clear|devoid|free) of|free from|(?:negative|neg|-ve|\(-\)) for",
        rf"(?:neither|none)(?: \w+){{1,8}}? (?:{_HAVE} )?{_SHOWED}",
        r"(?:none|resolution|disappearance|clearing) of|rather than|instead of|(?:argues?|suggesting|evidence|speaks?) against",
        r"(?:never|no longer)(?: had| has| have)?|excludes|excluding|excluded",
        r"neither|nor|without|w/o|no|not|n't|nil|zero|nothing",
    ),
    Cue.SUGGEST: (
        r"(?:(?:that|which) )?(?:(?:to|would|could|might|may) )?(?:suggests?|indicates?|represents?)|suggesting|representing",
        r"(?:suggestive|indicative|diagnostic|characteristic|typical|convincing|concerning|suspicious|worrisome|specific) (?:of|for)",
        r"(?:consistent|compatible|in keeping) with",
    ),
    Cue.PART: (
        rf"{_SIGN} (?:of|for)|(?:signs?|findings?) in favou?r of|by size|(?:and|or) of|such as|including",
        r"(?:on|in|at) (?:the |either |both )?(?:left|right|either side|both sides)(?: side)?(?=\s*[,.;)]|\s+(?:or|nor)\b|$)",
    ),
    Cue.SEEN: (rf"(?:(?:{_FINITE}|be|been) )?{_HOW}{_SEEN}{_STOP_OR_PLACE}", rf"{_FINITE} {_HOW}{_SEEN}"),
    Cue.END: (
        r"but|however|although|though|except|yet|still|which|who|whose|because|since|while|whereas|despite|nevertheless|therefore|thus",
        r"as(?! well as)|due to|secondary to|caused by|with|plus|signifying|indicating|confirming|meaning|apart from|other than|besides",
        r"aside from|then|when|until|before|whether|so|:",
    ),
    Cue.VERB: (
        r"is|are|was|were|has|have|had|can|could|may|might|will|would|should|must|do|does|did|seems?|appears?|remains?|remained|persists?",
        r"shows?|showed|showing|demonstrates?|demonstrated|demonstrating|reveals?|revealed|revealing|measures?|presents?|presented",
        r"develop(?:s|ed)|underwent|received|reports?",
    ),
    Cue.STATE: (
        r"an?|the|there|this|these|it|he|she|patient|his|her|normal|clear|intact|unremarkable|unchanged|stable|enlarged|mild|mildly|moderate",
        r"small|minimal|slight|slightly|chronic|persistent|persisting|residual|new|old|known|occasional|bilateral|status post|increased",
        r"increasing|decreased|decreasing|improved|improving|worsening|\d[\w.+]*",
    ),
    Cue.PLACE: (
        r"of|in|within|inside|outside|at|on|to|from|near|between|along|around|after|during|through|throughout|under|over|above|below|behind",
        r"beyond|into|onto|across|adjacent to|involving|affecting|by|for|upon|per|via|among|against|elsewhere",
    ),
    Cue.BODY: (
        r"neck|chest|thorax|abdomen|pelvis|head|brain|skull|orbits?|liver|spleen|pancreas|kidneys?|adrenals?|lungs?|lobes?|hil(?:um|a)",
        r"mediastinum|heart|ventricles?|bowel|stomach|colon|bladder|gallbladder|bones?|spine|uterus|ovar(?:y|ies)|prostate|glands?|axillae?",
        r"nodes?|vessels?|arter(?:y|ies)|veins?|hemispheres?|sinus(?:es)?|muscles?|skin|back|flanks?|extremit(?:y|ies)|arms?|legs?|hands?",
        r"foot|feet|hips?|knees?",
    ),
    Cue.AND: ("and|as well as",),
    Cue.OR: ("or|and/or",),
}
"""In the order in which they are tried at a place of the text."""


def _alternatives() -> str:
    groups = (f"(?P<{cue.name}>{'|'.join(phrases)})" for cue, phrases in _PHRASES.items())
    return "|".join(groups).replace(" ", r"\s+")


PATTERN = re.compile(
    rf"(?:(?<![\w'-])|(?=[:,]|n't))(?:{_alternatives()})(?!\w)|(?P<COMMA>,)|(?P<OPENED>[(\[])|(?P<CLOSED>[)\]])", re.IGNORECASE
)
"""Finds cues; the name of the matched group is that of the ``Cue``."""

HINT = re.compile(
    r"\b(?:(?:no|not|nor|neg|nil|none|gone|zero)\b|without|w/o|ab(?:s|sc)en|den[yi]|deneis|free|clear(?:ed|ing)?\b|negative|lack|never|neither"
    r"|nothing|nonexistent|rul(?:e|ed|ing)|exclu|fail|unlikely|resol|disappear|vanish|devoid|rather|instead|against|missing|normali[sz]ed|cannot)"
    r"|n't\b|-ve\b|\(-\)|:\s*-",
    re.IGNORECASE,
)
"""A text without a match has no cue that denies."""

SENTENCE = re.compile(r"[.;!?]+(?=\s|$)|(?<=[a-z)])\.(?=[A-Z])|\n\s*\n|\n\s*(?:[-*•]|\d+[.)])\s")
"""The ends of sentences and list items."""
