"""The two kinds of error: what the user can correct, and everything else.

An :class:`InputError` is about a file, an option or a value that somebody gave. A
command shows it as one line, without a traceback. Any other exception is a fault of the
program and keeps its traceback, from a worker process too.
"""

import reprlib

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80


class InputError(ValueError):
    """Say what is wrong with an input, what was expected, and how to correct it."""


def brief(value: object) -> str:
    """Write a value as Python does, cut to a line's length however large it is."""
    try:
        return SHORT.repr(value)
    except ValueError:  # Python writes no number of more than some thousand digits
        return f'a {type(value).__name__} too long to be shown'


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message, or its kind if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
