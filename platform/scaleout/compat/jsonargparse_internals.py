"""Functions for which jsonargparse and argparse have no public interface."""

from typing import Any

from jsonargparse import ArgumentParser


def option_types(parser: ArgumentParser) -> dict[str, Any]:
    """Return the type of every option by its name on the command line, "--name"; None for one without a type.

    A list has a second option, "--name+", which appends to it.
    """
    return {name: getattr(action, "_typehint", None) for name, action in parser._option_string_actions.items()}


def destinations(parser: ArgumentParser) -> set[str]:
    """Return the keys of a parsed configuration, "name" or "group.name"."""
    return {action.dest for action in parser._actions}
