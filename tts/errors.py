"""The errors Glottis raises about data; argument ranges raise ValueError, wrong types TypeError.

Every message says what was wrong with which input, what was found, what was expected, and what to do.
"""


class GlottisError(Exception):
    """Base of every error that a user can cause and mend; the command line prints it without a traceback."""


class AudioError(GlottisError):
    """A wave file or array cannot be used."""


class TextError(GlottisError):
    """A text has nothing to speak, or symbols the model does not know."""


class DataError(GlottisError):
    """A corpus, data directory, manifest, archive or download is not as it must be."""


class ModelError(GlottisError):
    """A model folder, checkpoint or pair of models does not fit."""


class ConfigError(GlottisError):
    """A configuration has an unknown key, a wrong type or a value out of range."""


class SpeakerError(GlottisError):
    """A speaker is not known to the model."""
