"""The one tree of errors.

    TributaryError
      ConfigurationError      settings, instruments, options: the user can mend it
      ValidationError         bad values in a request, a frame or a file row
      DataError               the data asked for is missing, stale or contradicts itself
      CalibrationError        a parameter cannot be computed (a refusal is a result, not an error)
      SimulationError         a replay broke one of its own laws (conservation, look-ahead)
      StorageError            a store cannot be reached, read or written
      CollectionError         a venue cannot be read
        AuthenticationError   it refused our credentials
        RateLimitError        it asked us to slow down

Every message says what happened, where (market, token, window, file and line) and what to do. "No data" is never
reported as "the read failed", nor the other way round. Nothing else in the package derives from Exception.
"""


class TributaryError(Exception):
    """Base of every error that Tributary raises on purpose."""


class ConfigurationError(TributaryError):
    """Settings, instruments or options that cannot be used as they stand."""


class ValidationError(TributaryError):
    """Values that break a rule; lists every violation found, not only the first."""


class DataError(TributaryError):
    """Data that the question needs is missing or contradicts itself."""


class CalibrationError(TributaryError):
    """Inputs from which no parameter can be computed at all."""


class SimulationError(TributaryError):
    """A replay that broke one of its own laws."""


class StorageError(TributaryError):
    """A store that cannot be reached, read or written."""


class CollectionError(TributaryError):
    """A venue that cannot be read."""


class AuthenticationError(CollectionError):
    """A venue refused the credentials."""


class RateLimitError(CollectionError):
    """A venue asked for fewer requests."""
