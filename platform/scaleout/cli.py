"""The command line of every job: options from typed parameters and docstrings, YAML recipes, clear errors."""

import argparse
import difflib
import inspect
import json
import logging
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import docstring_parser
import psutil
import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace, get_loader, set_loader, set_parsing_settings

from medvlp.configuration import choices, to_plain
from medvlp.errors import ConfigurationError, Interrupted, MedvlpError
from medvlp.redaction import redact_output
from medvlp.values import check_value
from scaleout.compat.jsonargparse_internals import destinations, option_types
from scaleout.environment import settle_environment
from scaleout.signals import Stopped, exit_status, handle_stops, received

T = TypeVar("T")
DEBUG_VARIABLE = "MEDVLP_DEBUG"
_UNKNOWN = (  # wordings of jsonargparse and argparse: for a command line, a group of a YAML file, and its top level
    re.compile(r"[Uu]nrecognized arguments: (?:--)?(?P<key>[^\s=]+)"),
    re.compile(r"Group '(?P<group>[^']+)' does not accept option '(?P<key>[^']+)'"),
    re.compile(r"Option '(?P<key>[^']+)' is not accepted"),
)
_is_command = False
_load_yaml = get_loader("yaml")
_NOT_CONFIGURATION = ("config", "debug", "print_config", "help")


def run_job(function: Callable[..., T], argv: Sequence[str] | None = None) -> T:
    """Call ``function`` with its parameters from the command line and from ``--config FILE.yaml``.

    If its first parameter is a dataclass, the fields of this class become options, next to the other parameters. An error that the
    user can fix is one line on stderr and exit code 2; ``--debug``, or the environment variable MEDVLP_DEBUG, adds the traceback. A job
    that is stopped by SIGTERM, SIGINT or SIGHUP cleans up and exits with 143, 130 or 129, as usual; a second signal ends it at once.
    """
    global _is_command
    _is_command = True
    redact_output()
    logging.basicConfig(format="%(message)s")
    for package in ("medvlp", "scaleout"):
        logging.getLogger(package).setLevel(logging.INFO)
    settle_environment()
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or bool(os.environ.get(DEBUG_VARIABLE))
    try:
        with handle_stops():
            return function(**_parameters(function, arguments))
    except (MedvlpError, Stopped) as error:
        if debug:
            traceback.print_exc()
        stopped = isinstance(error, Stopped)
        message = (
            f"Interrupted: {received()} stopped this job; the same command continues" if stopped else f"{type(error).__name__}: {error}"
        )
        sys.stderr.write(f"{message}\n")
        status = exit_status() if isinstance(error, Interrupted | Stopped) else 2
        raise SystemExit(status) from (error if debug else None)


def command_began() -> float:
    """Return when this process started if it runs a job's command line, else now; in seconds since the epoch."""
    return psutil.Process().create_time() if _is_command else time.time()


def parse(configuration: type[T], argv: Sequence[str]) -> T:
    """Parse a command line into an instance of the dataclass ``configuration``.

    Raises:
        ConfigurationError: an option is unknown, missing, or of the wrong type.
    """
    options = _Options(configuration, argv)
    parser = _parser(inspect.getdoc(configuration))
    options.add_to(parser)
    return options.instance(_parse(parser, list(argv)))


def to_yaml(config: Any) -> str:
    """Return a configuration as YAML that ``--config`` can read."""
    return yaml.safe_dump(to_plain(config), sort_keys=False, allow_unicode=True)


def _parameters(function: Callable[..., Any], argv: list[str]) -> dict[str, Any]:
    parser, options = job_parser(function, argv)
    values = _parse(parser, argv)
    if options is None:
        return values
    first, *others = _parameter_types(function)
    beside = {name: values.pop(name) for name in others}
    return {first: options.instance(values), **beside}


def job_parser(function: Callable[..., Any], argv: Sequence[str]) -> "tuple[ArgumentParser, _Options | None]":
    """Return the parser of a job, and the options of its configuration, if its first parameter is a dataclass."""
    parser = _parser(inspect.getdoc(function))
    first, hint = next(iter(_parameter_types(function).items()), ("", None))
    if not (isinstance(hint, type) and is_dataclass(hint)):
        parser.add_function_arguments(function)
        return parser, None
    options = _Options(hint, argv)
    options.add_to(parser)
    # Not as a group: it would have the name of the function, and a configuration may have a section of the same name.
    parser.add_function_arguments(function, skip={first}, as_group=False)
    return parser, options


def _parameter_types(function: Callable[..., Any]) -> dict[str, Any]:
    return {name: hint for name, hint in get_type_hints(function).items() if name != "return"}


class _Options:
    """The fields of a dataclass as options; a field that is a choice adds the fields of the dataclass that the command line selects."""

    def __init__(self, kind: type, argv: Sequence[str]) -> None:
        self._kind = kind
        fields_of = {field.name: field for field in fields(kind)}
        self._choices = choices(kind)
        self._chosen: dict[str, Any] = {}
        self._names: dict[str, str] = {}
        said = _said(self._choices, argv)
        for name, choice in self._choices.items():
            default: Any = fields_of[name].default_factory
            self._names[name] = said.get(name) or choice.name_of(type(default()))
            self._chosen[name] = choice.find(self._names[name])

    def add_to(self, parser: ArgumentParser) -> None:
        """Add the options."""
        parser.add_class_arguments(self._kind, skip=set(self._choices))
        for name, kind in self._chosen.items():
            parser.add_argument(f"--{name}", default=self._names[name], help=f"Name of the {name}; its options are under {kind.section!r}.")
            parser.add_class_arguments(kind, kind.section)

    def instance(self, values: dict[str, Any]) -> Any:
        """Return the dataclass with the parsed values."""
        for name, kind in self._chosen.items():
            values[name] = kind(**vars(values.pop(kind.section, Namespace())))
        return self._kind(**values)


def _said(names: Iterable[str], argv: Sequence[str]) -> dict[str, Any]:
    """Return the values of these options, among others: from the command line, otherwise from the last recipe that has them."""
    parser = _plain_parser()  # the other parser reports missing values
    parser.add_argument("--config", action="append", nargs="?", const="")
    for name in names:
        parser.add_argument(f"--{name}", nargs="?")
    on_line = vars(parser.parse_known_args(argv)[0])
    said: dict[str, Any] = {}
    for recipe in on_line.pop("config", []):
        said |= _content(Path(recipe))
    return said | on_line


def _content(recipe: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(recipe.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}  # the parser reports what is wrong with it
    return content if isinstance(content, dict) else {}


def _load_unambiguous(text: str, path: str = "") -> Any:
    """Load YAML or JSON in which no key occurs twice: the last one would silently win.

    Raises:
        ConfigurationError: a key occurs twice; the message names the lines.
    """
    root = yaml.compose(text, Loader=yaml.SafeLoader) if "{" in text or "\n" in text else None
    lines: dict[str, int] = {}
    for key, node in _keys(root):
        line = node.start_mark.line + 1
        if key in lines:
            where = f"{Path(path).absolute()}, lines {lines[key]} and {line}" if path else f"lines {lines[key]} and {line} of {text!r}"
            raise ConfigurationError(f"{key!r} is given twice: {where}; remove one, or merge them")
        lines[key] = line
    return _load_yaml(text)


def _keys(node: yaml.Node | None, above: str = "") -> Iterator[tuple[str, yaml.Node]]:
    """Yield all keys of a YAML document, with those above them: "train.max_steps"."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{above}{key.value}"
            yield name, key
            yield from _keys(value, f"{name}.")
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            yield from _keys(item, f"{above.removesuffix('.')}[{number}].")


def _parser(docstring: str | None) -> ArgumentParser:
    set_loader("yaml", _load_unambiguous, (yaml.YAMLError,))
    set_parsing_settings(docstring_parse_attribute_docstrings=True, instantiate_subclass_spec_in_any=False)
    description = docstring_parser.parse(docstring or "").description
    parser = ArgumentParser(description=description, exit_on_error=False, default_meta=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file with any of the options below; the command line takes precedence.")
    parser.add_argument("--debug", action="store_true", help="Show the traceback of an error.")
    return parser


def _parse(parser: ArgumentParser, argv: list[str]) -> dict[str, Any]:
    """Return the values of all options.

    Raises:
        ConfigurationError: an option is unknown or missing, or its value has another type or breaks a rule of its type.
    """
    try:
        namespace = parser.parse_args(_arrange(parser, argv))
        for name, hint in option_types(parser).items():
            check_value(hint, namespace.get(name.removeprefix("--")), name.removeprefix("--"))
        instance: Namespace = parser.instantiate(namespace)
    except (ArgumentError, ValueError) as error:
        raise ConfigurationError(_explain(parser, error)) from error
    return {key: value for key, value in vars(instance).items() if key not in _NOT_CONFIGURATION}


def _arrange(parser: ArgumentParser, argv: list[str]) -> list[str]:
    """Rewrite the command line for jsonargparse.

    Recipes come first, so that every other option overrides them. ``--file A --file B`` of a list option becomes one JSON list, which
    replaces the list of a recipe instead of extending it. ``--flag`` of a boolean option becomes ``--flag=true``.
    """
    known = option_types(parser)
    plain = _plain_parser()
    plain.add_argument("--config", action="append", dest="--config")
    for name, hint in known.items():
        if f"{name}+" in known:
            plain.add_argument(name, action="append", dest=name)
        elif hint is bool:
            plain.add_argument(name, nargs="?", const="true", dest=name)
    found, others = plain.parse_known_args(argv)
    values = vars(found)
    recipes = [f"--config={recipe}" for recipe in values.pop("--config", [])]
    return recipes + [f"{name}={_as_json(value)}" for name, value in values.items()] + others


def _as_json(value: str | list[str]) -> str:
    """Return the values of a list option, given once or repeatedly, as one JSON list; other values unchanged."""
    if isinstance(value, str):
        return value
    return value[0] if len(value) == 1 and value[0].startswith("[") else json.dumps(value)


def _plain_parser() -> argparse.ArgumentParser:
    """Return a parser that knows only a few options and leaves out those that are absent."""
    return argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False, argument_default=argparse.SUPPRESS)


def _explain(parser: ArgumentParser, error: Exception) -> str:
    """Return the message of jsonargparse on one line, with the nearest known key if one is unknown."""
    message = " ".join(str(error).split())
    for pattern in _UNKNOWN:
        if found := pattern.search(message):
            key = ".".join(part for part in found.groupdict().values() if part)
            return f"unknown option {key!r}{_nearest(parser, key)}"
    return message


def _nearest(parser: ArgumentParser, key: str) -> str:
    known = sorted(destinations(parser) - set(_NOT_CONFIGURATION))
    nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    return f"; did you mean {nearest[0]!r}?" if nearest else f"; known options: {', '.join(known)}"
