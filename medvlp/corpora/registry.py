"""Corpora by name, for recipes and command lines. To add a corpus, add a line to ``CORPORA``."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from medvlp.corpora.corpus import Corpus
from medvlp.corpora.csv_table import open_csv
from medvlp.corpora.jsonl import open_jsonl
from medvlp.corpora.official.covid_chestxray import open_covid_chestxray
from medvlp.corpora.official.iu_xray import open_iu_xray
from medvlp.corpora.official.medicat import open_medicat
from medvlp.corpora.official.medpix import open_medpix
from medvlp.corpora.official.melinda import open_melinda
from medvlp.corpora.official.mimic_cxr import open_mimic_cxr
from medvlp.corpora.official.roco import open_roco
from medvlp.corpora.official.rocov2 import open_rocov2
from medvlp.corpora.official.slake import open_slake
from medvlp.corpora.official.vqa_med_2019 import open_vqa_med_2019
from medvlp.corpora.official.vqa_med_2021 import open_vqa_med_2021
from medvlp.corpora.official.vqa_rad import open_vqa_rad
from medvlp.corpora.phantom import PhantomCorpus, PhantomQuestions
from medvlp.errors import ConfigurationError
from medvlp.values import check_value, field_hints

Opener = Callable[..., Corpus]
"""Takes the folder of the official files as ``root``, if the corpus has any, and options by keyword."""

CORPORA: Mapping[str, Opener] = MappingProxyType(
    {
        "phantom": PhantomCorpus,
        "phantom-questions": PhantomQuestions,
        "jsonl": open_jsonl,
        "csv": open_csv,
        "roco": open_roco,
        "rocov2": open_rocov2,
        "medicat": open_medicat,
        "mimic-cxr": open_mimic_cxr,
        "medpix": open_medpix,
        "iu-xray": open_iu_xray,
        "covid-chestxray": open_covid_chestxray,
        "vqa-rad": open_vqa_rad,
        "slake": open_slake,
        "vqa-med-2019": open_vqa_med_2019,
        "vqa-med-2021": open_vqa_med_2021,
        "melinda": open_melinda,
    }
)


def open_corpus(name: str, /, root: Path | None = None, **options: Any) -> Corpus:
    """Open a corpus.

    Args:
        name: one of ``CORPORA``.
        root: the folder of its files; None for a generated corpus.
        options: options of the corpus; a ``name`` may be one of them.

    Raises:
        ConfigurationError: the name or an option is unknown, or ``root`` is missing or not applicable.
        DataError: the files are not in the expected format.
    """
    opener = CORPORA.get(name)
    if opener is None:
        raise ConfigurationError(f"unknown corpus {name!r}{_nearest(name)}; known corpora: {', '.join(CORPORA)}")
    parameters = inspect.signature(opener).parameters
    if "root" in parameters and root is None:
        raise ConfigurationError(f"corpus {name!r} is read from files: give their folder as its root")
    if "root" not in parameters and root is not None:
        raise ConfigurationError(f"corpus {name!r} generates its samples and reads no files: leave out the root {root}")
    accepted = [parameter for parameter in parameters if parameter != "root"]
    for option in options:
        if option not in accepted:
            raise ConfigurationError(f"corpus {name!r} has no option {option!r}; it takes {', '.join(accepted)}")
    checked = {option: _checked(name, option, value, parameters[option].default) for option, value in options.items()}
    for option, hint in field_hints(opener).items():
        check_value(hint, checked.get(option), f"options.{option}")
    return opener(**checked) if root is None else opener(root=root, **checked)


def _checked(corpus: str, option: str, value: Any, default: Any) -> Any:
    """Return a value of the type of the option's default; a command line parses names that look like numbers as numbers."""
    if default is None or (isinstance(default, str) and value is not None):
        return value if value is None else str(value)
    if isinstance(default, bool) == isinstance(value, bool) and isinstance(
        value, int | float if isinstance(default, float) else type(default)
    ):
        return value
    raise ConfigurationError(f"option {option!r} of corpus {corpus!r} takes a {type(default).__name__}, as {default!r}, not {value!r}")


def _nearest(name: str) -> str:
    nearest = difflib.get_close_matches(name, CORPORA, n=1)
    return f", did you mean {nearest[0]!r}?" if nearest else ""
