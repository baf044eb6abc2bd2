"""The two kinds of error: what the user can correct, and everything else.

An :class:`InputError` is about a file, an option or a value that somebody gave. A
command shows it as one line, without a traceback. Any other exception is a fault of the
program and keeps its traceback, from a worker process too.
"""


class InputError(ValueError):
    """Say what is wrong with an input, what was expected, and how to correct it."""


class NotFiniteError(InputError):
    """Say where a network first computed what is not finite."""
