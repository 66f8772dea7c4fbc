"""Load all weights into a model, or raise an error that names the differences."""

from collections.abc import Container, Mapping

from torch import Tensor, nn

from medvlp.errors import CheckpointError

_SHOWN = 5


def load_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str) -> None:
    """Set every parameter of ``model``; ``source`` names the origin of the weights in messages.

    Raises:
        CheckpointError: a parameter is missing, unexpected, or of another shape.
    """
    check_weights(model, weights, source)
    # Buffers are constants of the configuration, not weights.
    model.load_state_dict(dict(weights), strict=False)


def check_weights(model: nn.Module, weights: Mapping[str, Tensor], source: str, but: Container[str] = ()) -> None:
    """Check that the weights are exactly those of ``model``, except for the parameters ``but``.

    Raises:
        CheckpointError: a parameter is missing, unexpected, or of another shape.
    """
    wanted = {name: tuple(parameter.shape) for name, parameter in model.named_parameters() if name not in but}
    given = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [name for name in sorted(wanted | given) if wanted.get(name) != given.get(name)]
    if wrong:
        shown = ", ".join(f"{name} ({_words(given.get(name))}, wanted {_words(wanted.get(name))})" for name in wrong[:_SHOWN])
        more = f" and {len(wrong) - _SHOWN} more" if len(wrong) > _SHOWN else ""
        raise CheckpointError(
            f"the weights of {source} do not fit this model: {shown}{more}; use the model configuration that they were made with"
        )


def _words(shape: tuple[int, ...] | None) -> str:
    return "none" if shape is None else "x".join(map(str, shape)) or "scalar"
