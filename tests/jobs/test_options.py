"""The options of all jobs: each number has a range, each name and place a rule, and a value outside of it is refused when it is parsed."""

import re
from collections.abc import Callable, Iterator
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin

import pytest

from examples.modality_task import ModalityTask
from jobs.evaluate import evaluate
from jobs.export import export
from jobs.finetune import finetune
from jobs.import_weights import import_weights
from jobs.knowledge import inspect_knowledge, knowledge
from jobs.leaks import leaks
from jobs.link import link
from jobs.prepare import prepare
from jobs.sweep import sweep
from medvlp.corpora.registry import CORPORA, open_corpus
from medvlp.errors import ConfigurationError
from medvlp.interchange.model_folder import ModelFolderConfig
from medvlp.tasks.pretrain.task import Pretraining
from medvlp.tasks.vqa.task import QuestionAnswering
from medvlp.values import Range, field_hints
from scaleout.cli import _parse, job_parser
from scaleout.compat.jsonargparse_internals import option_types
from scaleout.io.places import NameRule, PlaceRule
from scaleout.runs.config import FinetuneConfig, RunConfig
from scaleout.studies.sweep.config import SweepConfig

JOBS = [evaluate, export, finetune, import_weights, inspect_knowledge, knowledge, leaks, link, prepare, sweep]
"""All but jobs/pretrain.py, whose options are among those of jobs/sweep.py."""
TASKS = [Pretraining, QuestionAnswering, ModalityTask]
OF_PLACES = {"shards", "links", "storage", "output", "benchmark", "knowledge", "tokenizer", "ontology", "start_from", "run", "model"}
OF_PLACES |= {"inspect", "picture", "root", "leave_out", "name"}


def leaves(hint: Any) -> Iterator[Any]:
    """The types of single values in a type, with their rules."""
    if get_origin(hint) is Annotated:
        yield hint
        return
    inner = [each for each in get_args(hint) if (isinstance(each, type) or get_origin(each)) and each is not type(None)]
    if not inner:
        yield hint
    for each in inner:
        yield from leaves(each)


def numbers(hints: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """The numeric types among these, by name."""
    for name, hint in hints.items():
        options = list(leaves(hint))
        for leaf in options:
            kind = leaf.__origin__ if get_origin(leaf) is Annotated else leaf
            if kind in (int, float) and name != "return" and bool not in options:
                yield name, leaf


def dataclasses_of(kind: type) -> Iterator[type]:
    """A configuration and those in it."""
    yield kind
    for hint in field_hints(kind).values():
        for leaf in leaves(hint):
            if isinstance(leaf, type) and is_dataclass(leaf) and leaf is not kind:
                yield from dataclasses_of(leaf)


def range_of(hint: Any) -> Range:
    return next(rule for rule in hint.__metadata__ if isinstance(rule, Range))


def outside(limits: Range) -> list[float]:
    """Values just outside of a range, and those of no range."""
    below = limits.above if limits.above > -float("inf") else limits.at_least - max(1, abs(limits.at_least) / 2)
    above = limits.below if limits.below < float("inf") else limits.at_most * 1.5 + 1
    return [below, above]


CONFIGURATIONS = sorted(
    {each for kind in (RunConfig, FinetuneConfig, SweepConfig, ModelFolderConfig, *TASKS) for each in dataclasses_of(kind)},
    key=lambda kind: kind.__name__,
)


@pytest.mark.parametrize("kind", [kind for kind in CONFIGURATIONS if kind.__name__ not in ("ModelFolderConfig", "Origin")])
def test_every_number_of_a_configuration_has_a_range_that_is_checked(kind: type) -> None:
    required = {"shards": "s", "links": "l", "max_steps": 1, "name": "n", "storage": "s", "start_from": "x", "knowledge": "k"}
    needed = {each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING}
    given = {name: value for name, value in required.items() if name in needed}
    for name, hint in numbers(field_hints(kind)):
        assert get_origin(hint) is Annotated, f"{kind.__name__}.{name} has no range"
        for value in (*outside(range_of(hint)), float("nan"), float("inf")):
            whole: Any = {"a": value} if get_origin(field_hints(kind)[name]) is dict else value
            whole = (value, value) if get_origin(field_hints(kind)[name]) is tuple else whole
            with pytest.raises(ConfigurationError, match=rf"{kind.__name__}\.{name}\S* is {re.escape(str(value))}: take"):
                kind(**{**given, name: whole})


def is_place(name: str, hint: Any) -> bool:
    """Whether an option is a name or a place, by what it is called and its type."""
    texts = {getattr(leaf, "__origin__", leaf) for leaf in leaves(hint)} == {str}
    return texts and "+" not in name and name.removeprefix("--").split(".")[-1] in OF_PLACES and name != "--scispacy.model"


def required_options(types: dict[str, Any]) -> list[str]:
    """All options that a job may need."""
    return [f"{name}=x" for name, hint in types.items() if is_place(name, hint) or name == "--checkpoint"] + [
        f"{name}=1" for name in types if name == "--train.max_steps"
    ]


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_a_number_outside_of_its_range_is_refused_by_its_option(job: Callable[..., Any]) -> None:
    parser, _ = job_parser(job, [])
    shown = " ".join(parser.format_help().split())
    given = required_options(option_types(parser))
    found = dict(numbers({name.removeprefix("--"): hint for name, hint in option_types(parser).items() if hint and "+" not in name}))
    for option, hint in found.items():
        assert f"--{option}" in shown
        assert f"{range_of(hint)}" in shown
        for value in outside(range_of(hint))[:1]:
            text = str(int(value) if hint.__origin__ is int else float(value))
            origin = get_origin(option_types(parser)[f"--{option}"])
            whole = f"[{text},{text}]" if origin is tuple else f'{{"a": {text}}}' if origin is dict else text
            with pytest.raises(ConfigurationError, match=rf"^{re.escape(option)}\S* is \S+: take"):
                _parse(parser, [*given, f"--{option}={whole}"])


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.__name__)
def test_a_name_or_place_that_cannot_be_used_is_refused_by_its_option(job: Callable[..., Any]) -> None:
    parser, _ = job_parser(job, [])
    given = required_options(option_types(parser))
    for name, hint in option_types(parser).items():
        option = name.removeprefix("--")
        rules = [rule for leaf in leaves(hint) for rule in getattr(leaf, "__metadata__", ())]
        if "+" in name or not any(isinstance(rule, NameRule | PlaceRule) for rule in rules):
            continue
        for value in ("", "..\n"):
            with pytest.raises(ConfigurationError, match=rf"^{option}\S*( is|:) "):
                _parse(parser, [*given, f"{name}={value}"])
        _parse(parser, [*given, f"{name}=a-b_1.c"])


def test_all_places_of_all_jobs_have_the_rule() -> None:
    for job in JOBS:
        for name, hint in option_types(job_parser(job, [])[0]).items():
            rules = [rule for leaf in leaves(hint) for rule in getattr(leaf, "__metadata__", ())]
            assert not is_place(name, hint) or any(isinstance(rule, NameRule | PlaceRule) for rule in rules), f"{job.__name__} {name}"


@pytest.mark.parametrize("corpus", sorted(CORPORA))
def test_a_number_of_a_corpus_has_a_range(corpus: str, tmp_path: Any) -> None:
    opener: Any = CORPORA[corpus]
    root = None if corpus.startswith("phantom") else tmp_path
    found = list(numbers(dict(field_hints(opener))))
    assert found
    for name, hint in found:
        assert get_origin(hint) is Annotated, name
        for value in outside(range_of(hint)):
            number = int(value) if hint.__origin__ is int else float(value)
            with pytest.raises(ConfigurationError, match=rf"options\.{name} is {re.escape(str(number))}: take"):
                open_corpus(corpus, root, **{name: number})
