"""Which words stand for a class, and the prompts made of them."""

from collections.abc import Mapping, Sequence

from wsss_mm.utils.errors import InputError

Words = Mapping[str, str | Sequence[str]]


def words_of_classes(
    names: Sequence[str], words: Words | None = None
) -> list[tuple[str, ...]]:
    """List the words of every class: those given, else its name.

    Args:
        names: Names of the classes; an underscore in one stands for a space.
        words: One word or several for some of the classes, any text that CLIP may
            know: ``dict(shirt=['t-shirt', 'blouse'], bird='bird avian')``.

    Raises:
        InputError: If words are for a class that is not there, or are not text.

    Examples:
        >>> words_of_classes(['shirt', 'polo_neck'], {'shirt': ['t-shirt', 'blouse']})
        [('t-shirt', 'blouse'), ('polo neck',)]
    """
    given = words or {}
    unknown = [name for name in given if name not in names]
    if unknown:
        raise InputError(
            f'words are given for {", ".join(map(repr, unknown))}, but the classes are '
            f'{", ".join(names)}'
        )
    return [
        checked_words(name, given[name]) if name in given else (name.replace('_', ' '),)
        for name in names
    ]


def checked_words(name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    """Give the words of one class as a tuple.

    Raises:
        InputError: If there are none, or one of them is not text.
    """
    several = (given,) if isinstance(given, str) else tuple(given)
    if not several or not all(isinstance(w, str) and w.strip() for w in several):
        raise InputError(
            f'words of {name!r} are {given!r}; give one word or a list of them, or '
            'leave the class out to use its name'
        )
    return several


def checked_templates(templates: Sequence[str]) -> tuple[str, ...]:
    """Give prompt templates as a tuple.

    Raises:
        InputError: If there are none, or one does not hold ``{}`` exactly once.
    """
    several = (templates,) if isinstance(templates, str) else tuple(templates)
    for template in several:
        if not isinstance(template, str) or template.count('{}') != 1:
            raise InputError(
                f'the template {template!r} must hold {{}} once, where the word goes: '
                "'a photo of a {}.'"
            )
        if '{' in template.replace('{}', '') or '}' in template.replace('{}', ''):
            raise InputError(f'the template {template!r} holds more braces than {{}}')
    if not several:
        raise InputError('templates is empty; give at least one, such as "{}"')
    return several
