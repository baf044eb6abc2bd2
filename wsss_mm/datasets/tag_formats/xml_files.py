"""Tags in XML: the detection annotations of PASCAL VOC, and CVAT's images."""

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree

from wsss_mm.datasets.tag_formats.rows import Row, TagTable, clean_names, clean_path
from wsss_mm.io.safe_xml import parse_xml
from wsss_mm.io.wording import brief
from wsss_mm.utils.errors import InputError

CVAT, VOC = 'annotations', 'annotation'


def read_xml_table(path: Path) -> TagTable:
    """Read one XML file: CVAT's of many images, or PASCAL VOC's of one.

    Raises:
        InputError: If it is neither, or malformed.
    """
    root = parse_xml(path)
    if root.tag == CVAT:
        return read_cvat(path, root)
    if root.tag == VOC:
        return TagTable('PASCAL VOC XML', (read_voc(path, root, folder=path.parent),))
    raise InputError(
        f'{path}: XML whose outermost element is {brief(root.tag)}; give CVAT for '
        'images 1.1 (<annotations>) or PASCAL VOC (<annotation>)'
    )


def read_voc_folder(folder: Path, files: Iterable[Path]) -> TagTable:
    """Read the XML file of every image.

    Raises:
        InputError: If a file is malformed, or no PASCAL VOC.
    """
    rows = []
    for path in files:
        root = parse_xml(path)
        if root.tag != VOC:
            raise InputError(
                f'{path}: the outermost element is {brief(root.tag)}, in PASCAL VOC '
                f'{VOC!r}; name the file itself if it is of CVAT'
            )
        rows.append(read_voc(path, root, folder=folder))
    return TagTable('PASCAL VOC XML', tuple(rows))


def read_voc(path: Path, root: ElementTree.Element, *, folder: Path) -> Row:
    """Take the classes of the objects of an image; parts of objects do not count."""
    names = [node.findtext('name', '') for node in root.findall('object')]
    own = clean_path(path.relative_to(folder).with_suffix('').as_posix())
    stated = clean_path(root.findtext('filename', ''))
    images = (own, stated) if stated else (own,)
    return Row(images, clean_names(names), str(path))


def read_cvat(path: Path, root: ElementTree.Element) -> TagTable:
    """Take the labels of all shapes and tags of each image of CVAT for images 1.1."""
    rows = [
        Row(
            (clean_path(image.get('name', '')),),
            clean_names(shape.get('label', '') for shape in image),
            f'{path}: image {image.get("id", "")}',
        )
        for image in root.findall('image')
    ]
    if not rows:
        tracks = ' (it holds tracks of a video)' if root.find('track') else ''
        raise InputError(f'{path}: names no image{tracks}; export CVAT for images 1.1')
    labels = [node.findtext('name', '') for node in root.iter('label')]
    return TagTable('CVAT for images', tuple(rows), clean_names(labels))
