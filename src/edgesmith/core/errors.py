"""Errors: one class per exit code, each message saying who, what was found, what is needed, what to do."""


class EdgesmithError(Exception):
    """Any failure edgesmith explains; `exit_code` is what the command line returns."""

    exit_code = 1


class BadInput(EdgesmithError):
    """Something given by the user is malformed, out of range or of the wrong type."""

    exit_code = 3


class Unsupported(EdgesmithError):
    """A valid model or request that edgesmith has no way to carry out."""

    exit_code = 4


class DoesNotFit(EdgesmithError):
    """No candidate meets every limit of the budget."""

    exit_code = 5


class VerificationFailed(EdgesmithError):
    """Two implementations that must agree do not."""

    exit_code = 6


class Missing(EdgesmithError):
    """An optional package, a data set or a file is absent; the message says how to get it."""

    exit_code = 7


class Busy(EdgesmithError):
    """Another process holds the folder."""

    exit_code = 8
