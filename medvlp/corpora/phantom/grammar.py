"""A small grammar of reports: every text names everything that its image shows, and nothing else."""

from collections.abc import Callable

from numpy.random import Generator

from medvlp.corpora.phantom.lexicon import lexicon
from medvlp.corpora.phantom.truth import PlacedFinding, Truth
from medvlp.corpora.phantom.view import View

WORDS = range(8, 23)
"""Allowed length of a text."""

_ATTEMPTS = 50


class Reporter:
    """Writes texts about one image; one stream of random numbers selects the words."""

    def __init__(self, view: View, truth: Truth, rng: Generator) -> None:
        self._view = view
        self._truth = truth
        self._rng = rng
        self._lexicon = lexicon()

    def texts(self) -> tuple[str, ...]:
        """Return two or three texts of different structure."""
        forms = _ABNORMAL_FORMS if self._truth.findings else _NORMAL_FORMS
        chosen = self._rng.permutation(len(forms))[: self._rng.integers(2, 4)]
        return tuple(self._write(forms[form]) for form in chosen)

    def say(self, name: str) -> str:
        """Return a concept by its name or a synonym."""
        return self._lexicon.say(name, self._rng)

    def pick(self, *words: str) -> str:
        """Choose one of several wordings."""
        return words[self._rng.integers(len(words))]

    @property
    def region(self) -> str:
        """The region of the body, with its article."""
        return f"the {self.say(self._view.region)}"

    @property
    def header(self) -> str:
        """The examination: "chest radiograph", or "radiograph of the thorax"."""
        if self._rng.random() < 0.3:
            return f"{self.say(self._view.technique)} of {self.region}"
        return self.say(self._view.modality)

    @property
    def findings(self) -> str:
        """All findings in random order; if there are many, without their sites."""
        findings = self._truth.findings
        phrases = [self._phrase(findings[index], brief=len(findings) > 2) for index in self._rng.permutation(len(findings))]
        if len(phrases) == 1:
            return phrases[0]
        return f"{', '.join(phrases[:-1])} {self.pick('and', 'with', 'as well as')} {phrases[-1]}"

    def _phrase(self, finding: PlacedFinding, *, brief: bool) -> str:
        name, organ = self.say(finding.name), self._view.kind(finding.name).organ
        size = self.say(finding.size) if finding.size else ""
        side = self.say(finding.side) if finding.side else ""
        organ_is_said = any(part in name for part in self._lexicon.names(organ))
        if brief or self._rng.random() < 0.3 or (organ_is_said and finding.site == organ):
            return _join(size, side, name)
        if self._rng.random() < 0.55:
            return _join(size, name, self.pick("in the", "of the"), self.say(finding.site))
        if organ_is_said or (finding.side and self._rng.random() < 0.4):
            return _join(size, name, f"on the {finding.side}" if finding.side else "")
        return _join(size, side, name, self.pick("involving the", "in the"), self.say(organ))

    def _write(self, form: Callable[["Reporter"], str]) -> str:
        """Write a text of this form; retry until its length is right, which most are."""
        drafts = (form(self) for _ in range(_ATTEMPTS))
        text = next((draft for draft in drafts if len(draft.split()) in WORDS), "") or form(self)
        return _capitalised(text)


def _join(*words: str) -> str:
    return " ".join(word for word in words if word)


def _capitalised(text: str) -> str:
    sentences = text.split(". ")
    return ". ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def _shows(reporter: Reporter) -> str:
    return f"{reporter.header} {reporter.pick('shows', 'demonstrates', 'reveals', 'showing')} {reporter.findings}."


def _seen_on(reporter: Reporter) -> str:
    return f"{reporter.findings} {reporter.pick('on', 'seen on', 'noted on')} {reporter.header}."


def _sections(reporter: Reporter) -> str:
    return f"{reporter.header}: {reporter.pick('findings of', 'there is', 'evidence of')} {reporter.findings}."


def _impression(reporter: Reporter) -> str:
    return f"{reporter.header}{reporter.pick('', ' of this patient')}. {_conclusion(reporter)}: {reporter.findings}."


def _normal_shows(reporter: Reporter) -> str:
    return f"{reporter.header} {reporter.pick('shows', 'demonstrates')} {reporter.say('normal appearance')} of {reporter.region}."


def _normal_seen_on(reporter: Reporter) -> str:
    return f"{reporter.say('normal appearance')} of {reporter.region} {reporter.pick('on this', 'seen on')} {reporter.header}."


def _normal_impression(reporter: Reporter) -> str:
    return f"{reporter.header} of this patient. {_conclusion(reporter)}: {reporter.say('normal appearance')} of {reporter.region}."


def _conclusion(reporter: Reporter) -> str:
    return reporter.pick("impression", "findings", "conclusion")


_ABNORMAL_FORMS = (_shows, _seen_on, _sections, _impression)
_NORMAL_FORMS = (_normal_shows, _normal_seen_on, _normal_impression)
