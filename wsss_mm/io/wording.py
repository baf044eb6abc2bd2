"""Values and errors of other people's files, in messages of one line."""

import reprlib

SHORT = reprlib.Repr()
SHORT.maxlevel = 3
SHORT.maxstring = SHORT.maxother = 80
LONGEST = 200


def brief(value: object) -> str:
    """Write a value as Python does, cut to a line's length however large it is."""
    try:
        return shorten(SHORT.repr(value))
    except ValueError:  # Python writes no number of more than some thousand digits
        return f'a {type(value).__name__} too long to be shown'


def first_line(error: BaseException) -> str:
    """Give the first line of an error's message, or its kind if it has none."""
    lines = str(error).strip().splitlines()
    return shorten(lines[0]) if lines else type(error).__name__


def shorten(text: str) -> str:
    """Cut a text to a line's length."""
    return text if len(text) <= LONGEST else f'{text[:LONGEST]}...'
