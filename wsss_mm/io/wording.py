"""Values and errors of other people's files, in messages of one line."""

import reprlib

SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 80


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
