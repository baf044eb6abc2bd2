"""Read the tags of photographs from the files that other programs write.

The class of a folder, tables, labelme, CVAT, COCO, PASCAL VOC: all become one
`TagTable`, whose lines `match_photos` brings together with the files of a folder.
"""

from wsss_mm.datasets.tag_formats.matching import Matched, list_photos, match_photos
from wsss_mm.datasets.tag_formats.reading import read_tag_table
from wsss_mm.datasets.tag_formats.rows import Row, TagTable

__all__ = [
    'Matched',
    'Row',
    'TagTable',
    'list_photos',
    'match_photos',
    'read_tag_table',
]
