"""What jsonargparse, as argparse below it, has no public way to list."""

from typing import Any

from jsonargparse import ArgumentParser


def option_types(parser: ArgumentParser) -> dict[str, Any]:
    """The type of every option by its name on the command line, "--name"; None for one without a type.

    A list has an option more, "--name+", which appends to it.
    """
    return {name: getattr(action, "_typehint", None) for name, action in parser._option_string_actions.items()}


def destinations(parser: ArgumentParser) -> set[str]:
    """The keys that a parsed configuration has, "name" or "group.name"."""
    return {action.dest for action in parser._actions}
