"""The exceptions of the project: one hierarchy, for errors that a user can fix.

A message says what happened, where, and what to do. It never contains a password or a token.
"""

from medvlp.redaction import redact


class MedvlpError(Exception):
    """Base of every error that this project raises on purpose."""

    def __init__(self, message: str = "") -> None:
        super().__init__(redact(message))


class ConfigurationError(MedvlpError):
    """A setting is unknown, contradicts another one, or cannot work on this machine."""


class DataError(MedvlpError):
    """Shards, links, images or texts are missing, truncated, changed or of the wrong kind."""


class KnowledgeError(MedvlpError):
    """An ontology or knowledge bundle is unreadable or does not match the data."""


class CheckpointError(MedvlpError):
    """A checkpoint is missing, incomplete or belongs to another run."""


class DamagedCheckpointError(CheckpointError):
    """A complete checkpoint was changed after it was written."""


class TrainingError(MedvlpError):
    """Training cannot continue: too many bad samples, a loss that is not finite, a stream out of order."""


class Interrupted(MedvlpError):
    """A run stopped on request before its last step, with a checkpoint from which the same command continues."""
