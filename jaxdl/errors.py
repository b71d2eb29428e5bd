"""The errors that end a script with one line and an exit status of their own."""


class JaxdlError(Exception):
    """An error whose message is written for the person who runs the script.

    Attributes:
      exit_status: of the script.
      is_shared: whether every process of the run raises it.
    """

    exit_status = 1
    is_shared = False


class ConfigError(JaxdlError):
    """One or more mistakes in a config file or on the command line."""

    exit_status = 2

    def __init__(self, *messages: str):
        """Collects one message per mistake; each becomes one line."""
        super().__init__("\n".join(messages))
        self.messages = messages


class DataError(JaxdlError):
    """A data source that is missing, damaged or inconsistent."""

    exit_status = 3


class NonFiniteError(JaxdlError):
    """A loss or gradient that is NaN or infinite."""

    exit_status = 4


class CheckpointError(JaxdlError):
    """Checkpoints that can't be written, or of which none can be restored."""

    exit_status = 5


class LockError(JaxdlError):
    """A run folder that another process is writing to."""

    exit_status = 6


class PeerError(JaxdlError):
    """Another process of the run ended, or does not get on."""

    exit_status = 7
