"""Tag tables as CSV: a column of labels, or one column of zeros and ones a class."""

import csv
import re
from collections.abc import Sequence
from pathlib import Path

from wsss_mm.datasets.tag_formats.rows import Row, TagTable, clean_names, clean_path
from wsss_mm.datasets.tags import split_labels
from wsss_mm.io.limits import MOST_TABLE_BYTES, read_text
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

IMAGE_COLUMNS = frozenset(
    {'image', 'image_id', 'imageid', 'image_name', 'image_path', 'img', 'id'}
    | {'file', 'file_name', 'filename', 'name', 'path', 'photo'}
)
LABEL_COLUMNS = frozenset(
    {'label', 'labels', 'tag', 'tags', 'class', 'classes', 'category', 'categories'}
)
YES = frozenset({'1', '1.0', 'true', 'yes', 'y', 'x'})
NO = frozenset({'', '0', '0.0', 'false', 'no', 'n'})
SEPARATORS = re.compile(r'[,;|]')
EXAMPLE = "a first line 'image_id,labels', or one that names the image and the classes"


def read_csv_table(path: Path) -> TagTable:
    """Read a table whose cells are separated by commas, semicolons or tabulators.

    A column of labels holds class names separated by spaces, by one of ``, ; |``, or a
    JSON list. Without one, every column but the image's is a class, its cells 1 or 0
    (yes or no, true or false, x or empty).

    Raises:
        InputError: If the table is malformed; the message names the line.
    """
    text = read_text(path, most=MOST_TABLE_BYTES, kind='a tag table')
    lines = text.replace('\r\n', '\n').replace('\r', '\n').split('\n')
    delimiter = max(',;\t', key=lines[0].count)
    reader = csv.reader((f'{line}\n' for line in lines), delimiter=delimiter)
    try:
        cells = [(reader.line_num, row) for row in reader]
    except csv.Error as error:
        raise InputError(f'{path}:{reader.line_num}: {error}') from error
    header = [cell.strip() for cell in cells[0][1]] if cells else []
    while header and not header[-1]:
        header.pop()
    if len(header) < 2:
        raise InputError(f'{path}:1: {brief(lines[0])} has one column; write {EXAMPLE}')
    rows = [
        (f'{path}:{number}', padded(row, len(header), f'{path}:{number}'))
        for number, row in cells[1:]
        if any(cell.strip() for cell in row)
    ]
    if not rows:
        raise InputError(f'{path}: names no image; write one line for each')
    names = [cell.lower().replace(' ', '_') for cell in header]
    image = next((i for i, name in enumerate(names) if name in IMAGE_COLUMNS), None)
    labels = next((i for i, name in enumerate(names) if name in LABEL_COLUMNS), None)
    if image is None:
        raise InputError(
            f'{path}:1: no column of {brief(delimiter.join(header))} is the image; '
            f'write {EXAMPLE}'
        )
    if labels is not None:
        return TagTable('table of labels', labelled(rows, image, labels))
    return read_flags(rows, header, image)


def padded(row: Sequence[str], length: int, where: str) -> list[str]:
    """Give a line as many cells as the first has; refuse one with more."""
    cells = [cell.strip() for cell in row]
    if any(cells[length:]):
        raise InputError(
            f'{where}: {len(cells)} cells, but the first line has {length}; quote '
            'cells that hold the separator, and separate labels by spaces'
        )
    return [*cells[:length], *[''] * (length - len(cells))]


def labelled(
    rows: Sequence[tuple[str, list[str]]], image: int, labels: int
) -> tuple[Row, ...]:
    """Read the lines of a table with a column of labels."""
    return tuple(
        Row(
            (named(row[image], where),),
            clean_names(split_cell(row[labels], where)),
            where,
        )
        for where, row in rows
    )


def split_cell(cell: str, where: str) -> list[str]:
    """Split a cell of labels."""
    if not cell.startswith('[') and SEPARATORS.search(cell):
        return SEPARATORS.split(cell)
    return split_labels(cell, where)


def read_flags(
    rows: Sequence[tuple[str, list[str]]], header: Sequence[str], image: int
) -> TagTable:
    """Read the lines of a table with one column a class."""
    columns = [i for i, name in enumerate(header) if i != image and name]
    found = []
    for where, row in rows:
        names = []
        for i in columns:
            value = row[i].lower()
            if value not in YES | NO:
                raise InputError(
                    f'{where}: {brief(row[i])} in the column {header[i]!r}; a column '
                    "of a class holds 1 or 0, and one of labels is called 'labels'"
                )
            if value in YES:
                names.append(header[i])
        found.append(Row((named(row[image], where),), clean_names(names), where))
    classes = clean_names(header[i] for i in columns)
    return TagTable('table of one column a class', tuple(found), classes)


def named(cell: str, where: str) -> str:
    """Read the image's cell."""
    path = clean_path(cell)
    if not path:
        raise InputError(f'{where}: names no image; fill the cell or remove the line')
    return path
