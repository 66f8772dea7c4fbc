"""The exceptions of the project: one hierarchy, raised for what a user can mend.

A message says what happened, where, and what to do.
"""


class MedvlpError(Exception):
    """Base of every error that this project raises on purpose."""


class ConfigurationError(MedvlpError):
    """A setting is unknown, contradicts another one, or cannot work on this machine."""


class DataError(MedvlpError):
    """Shards, links, images or texts are missing, truncated, altered or not what they claim to be."""


class KnowledgeError(MedvlpError):
    """An ontology or knowledge bundle is unreadable or does not belong to the data."""


class CheckpointError(MedvlpError):
    """A checkpoint is missing, incomplete or belongs to another run."""


class DamagedCheckpointError(CheckpointError):
    """A checkpoint that was complete is no longer what was written."""


class TrainingError(MedvlpError):
    """Training cannot go on: too many bad samples, a loss that is not finite, a stream out of order."""


class Interrupted(MedvlpError):
    """A run was asked to end before its last step, and did, with a checkpoint from which the same command goes on."""
