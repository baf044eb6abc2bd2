"""Find out what kind of tag file there is, and read it."""

from pathlib import Path

from wsss_mm.datasets.tag_formats.folders import (
    CLASS_LIST,
    is_class_list,
    read_class_folders,
    read_class_lists,
)
from wsss_mm.datasets.tag_formats.json_files import (
    read_json_table,
    read_labelme_folder,
)
from wsss_mm.datasets.tag_formats.matching import list_photos
from wsss_mm.datasets.tag_formats.rows import TagTable
from wsss_mm.datasets.tag_formats.tables import read_csv_table
from wsss_mm.datasets.tag_formats.xml_files import read_voc_folder, read_xml_table
from wsss_mm.utils.errors import InputError

READERS = {
    '.csv': read_csv_table,
    '.tsv': read_csv_table,
    '.json': read_json_table,
    '.xml': read_xml_table,
}
# Of Roboflow, CVAT and this project.
WHOLE = frozenset(
    {'_annotations.coco.json', '_classes.csv', 'annotations.xml', 'annotations.json'}
    | {'tags.csv', 'tags.json', 'image_labels.csv'}
)
KINDS = (
    'a CSV or JSON table, COCO JSON, CVAT or PASCAL VOC XML, a list such as '
    'cat_train.txt, a folder of labelme or VOC files, or of one folder a class'
)


def read_tag_table(path: str | Path) -> TagTable:
    """Read tags of any format that is known.

    Args:
        path: A file: CSV (a column of labels, or one of 0 and 1 a class), JSON (this
            project's, COCO, labelme), XML (CVAT for images 1.1, PASCAL VOC), a list
            ``<class>_<split>.txt``, whose fellows are read too. Or a folder: of labelme
            or VOC files, of such lists, or of photographs in one folder a class.

    Raises:
        InputError: If there is no such file, it is of no known kind, or malformed.
    """
    path = Path(path)
    if path.is_dir():
        return read_folder(path)
    if not path.is_file():
        near = sorted(one.name for one in path.parent.glob('*') if one.suffix)
        shown = ', '.join([*near[:4], '...'] if len(near) > 4 else near)
        there = f'; {path.parent} holds {shown}' if shown else ''
        raise InputError(f'no tags {path}: give {KINDS}{there}')
    match = CLASS_LIST.fullmatch(path.name)
    if match:
        return read_class_lists(path.parent, split=match['split'])
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise InputError(f'{path}: not a kind of tags that is known: give {KINDS}')
    return read(path)


def is_whole(path: Path) -> bool:
    """Say whether a file in a folder of photographs is called as one of all tags."""
    return path.is_file() and path.name.lower() in WHOLE


def read_folder(folder: Path) -> TagTable:
    """Read the files of every image in a folder, or the folders of every class.

    A file of all images, as Roboflow and CVAT put beside them, comes first.
    """
    whole = [path for path in sorted(folder.iterdir()) if is_whole(path)]
    if len(whole) == 1:
        return READERS[whole[0].suffix.lower()](whole[0])
    files = [path for path in sorted(folder.rglob('*.xml')) if path.is_file()]
    if files:
        return read_voc_folder(folder, files)
    files = [path for path in sorted(folder.rglob('*.json')) if path.is_file()]
    table = read_labelme_folder(folder, files)
    if table.rows:
        return table
    if files:
        raise InputError(
            f'{folder}: its JSON files, such as {files[0].name}, are not labelme; name '
            'the file itself if it holds the tags of all images'
        )
    if any(is_class_list(path) for path in folder.glob('*.txt')):
        return read_class_lists(folder)
    return read_class_folders(list_photos(folder), where=folder)
