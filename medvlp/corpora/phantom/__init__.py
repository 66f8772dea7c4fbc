"""The sample corpus of the project: procedural radiology phantoms, their reports and their ontology."""

from medvlp.corpora.phantom.corpus import PhantomCorpus
from medvlp.corpora.phantom.lexicon import phantom_ontology_path
from medvlp.corpora.phantom.questions import PhantomQuestions
from medvlp.corpora.phantom.truth import PlacedFinding, Truth

__all__ = ["PhantomCorpus", "PhantomQuestions", "PlacedFinding", "Truth", "phantom_ontology_path"]
