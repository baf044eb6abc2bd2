"""What a tag file says, in one form whatever the format."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

# Names that mean no class: of this project, of CVAT, and of labelme.
NO_CLASSES = frozenset({'background', '_background_', '__background__', '__ignore__'})


@dataclass(frozen=True)
class Row:
    """What is said of one image.

    Attributes:
        images: Names that the image may go by, the likeliest first: paths with ``/``,
            with or without extension.
        names: Classes that it shows.
        where: File, or file and line, for messages.
    """

    images: tuple[str, ...]
    names: tuple[str, ...]
    where: str


@dataclass(frozen=True)
class TagTable:
    """All that a tag file says.

    Attributes:
        format: What kind of file it is, in words.
        rows: Its images, in order; one may occur several times.
        classes: Classes in the order in which the file declares them, if it does.
    """

    format: str
    rows: tuple[Row, ...]
    classes: tuple[str, ...] = ()

    def ordered_classes(self) -> tuple[str, ...]:
        """List the classes that occur: declared ones in their order, others sorted."""
        used = {name for row in self.rows for name in row.names}
        declared = [name for name in self.classes if name in used]
        return (*dict.fromkeys(declared), *sorted(used - set(declared)))


def clean_names(names: Iterable[str]) -> tuple[str, ...]:
    """Bring class names into one form, without repeats and names of no class."""
    tidy = (unicodedata.normalize('NFC', ' '.join(name.split())) for name in names)
    kept = (name for name in tidy if name and name.lower() not in NO_CLASSES)
    return tuple(dict.fromkeys(kept))


def clean_path(text: str) -> str:
    """Write a path of any system with ``/`` and in Unicode's composed form."""
    parts = unicodedata.normalize('NFC', text.strip().replace('\\', '/')).split('/')
    return '/'.join(part for part in parts if part not in ('', '.', '..'))
