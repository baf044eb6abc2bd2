"""Images with image-level tags, and masks only where they are asked for."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from mmseg.datasets import BaseSegDataset

from wsss_mm.datasets import synth_voc
from wsss_mm.datasets.image_files import (
    ImageFolder,
    file_of_image,
    read_id_list,
    result_name,
)
from wsss_mm.datasets.tags import (
    Tags,
    encode_tags,
    read_tag_file,
    select_tags,
    tags_from_masks,
    tags_from_xml,
)
from wsss_mm.datasets.transforms.loading import run_pipeline
from wsss_mm.io.cam_file import MOST_CLASSES
from wsss_mm.io.image_id import normalise_id
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError

TAG_SOURCES = ('file', 'xml', 'masks')
BACKGROUND = 'background'
# Arguments of BaseSegDataset, the value that they have here, and why no other.
WITHOUT_EFFECT = {
    'reduce_zero_label': (False, 'class 0 is the background here, it counts'),
    'ignore_index': (255, 'pixels to ignore are 255 in all masks'),
    'img_suffix': ('.jpg', 'images are found with any extension'),
    'seg_map_suffix': ('.png', 'masks are PNG files named as their images'),
    'filter_cfg': (None, 'no image is filtered; choose by ann_file or indices'),
}
VOC_CLASSES = (
    BACKGROUND,
    *('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car'),
    *('cat', 'chair', 'cow', 'diningtable', 'dog', 'horse', 'motorbike'),
    *('person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'),
)


@DATASETS.register_module()
class ImageLabelDataset(BaseSegDataset):
    """Any folder of images with tags, any class list and any file names.

    An item has `img_path`, `img_id` (its path below the image folder without
    extension, under which masks and CAMs are kept), `image_labels`
    (float32, (C,), over the foreground classes; only with tags), `mask_classes`
    (how many values a mask may use) and, only if `data_prefix` has the key,
    `seg_map_path` and `seed_scores_path`.

    Args:
        ann_file: File with one image id per line. If empty, all images of the
            tag file. An id is a path below the image folder, with or without
            extension; see `image_files`.
        tags: File or folder of the tags, below `data_root`. None for images
            without tags, such as the images DeepLab is trained on.
        tag_source: What `tags` is: 'file' (CSV or JSON), 'xml' (a folder of
            PASCAL VOC detection XML) or 'masks' (a folder of masks).
        data_prefix: `img_path` is the image folder, `seg_map_path` the optional mask
            folder, `seed_scores_path` the optional folder of score files, which
            affinity networks train on; each absolute or below `data_root`.
        metainfo: `classes`, background first, and an optional `palette`.
        **kwargs: Passed to `BaseSegDataset`.

    Raises:
        ValueError: If a list, tag, image or mask is missing or malformed, or an
            argument of `BaseSegDataset` is given that means nothing here. The message
            names the file and what to do.
    """

    def __init__(
        self,
        ann_file: str = '',
        *,
        tags: str | None = None,
        tag_source: str = 'file',
        data_prefix: dict[str, str | None] | None = None,
        metainfo: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if tag_source not in TAG_SOURCES:
            raise InputError(
                f'tag_source={tag_source!r}; choose one of {", ".join(TAG_SOURCES)}'
            )
        if not ann_file and (tags is None or tag_source != 'file'):
            raise InputError(
                'without ann_file the images come from a tag file: give ann_file, '
                "or tags with tag_source='file'"
            )
        refuse_without_effect(kwargs)
        self.tags = tags
        self.tag_source = tag_source
        prefix = data_prefix or dict(img_path='')
        super().__init__(
            ann_file=ann_file,
            data_prefix={key: path for key, path in prefix.items() if path is not None},
            metainfo=metainfo,
            **kwargs,
        )

    @property
    def foreground(self) -> tuple[str, ...]:
        """Names of the classes without the background."""
        return tuple(self._metainfo['classes'][1:])

    def full_init(self) -> None:
        """Check the class list, then load."""
        check_classes(self._metainfo.get('classes'))
        super().full_init()

    def load_data_list(self) -> list[dict[str, Any]]:
        """Read list, tags and file names; every file named must exist."""
        tags = self._read_tags() if self.tag_source == 'file' else None
        ids = read_id_list(self.ann_file) if self.ann_file else list(tags or {})
        source = self.ann_file or self._tag_path()
        check_indices(self._indices, len(ids), source=source)
        folder = ImageFolder(self.data_prefix['img_path'])
        names = {image_id: folder.find(image_id, source=source) for image_id in ids}
        check_stems(names, source=source)
        masks = self._find_masks(names)
        if tags is not None:
            tags = select_tags(tags, ids, source=self._tag_path())
        elif self.tags is not None:
            tags = self._collect_tags(names)
        return [
            self._item(image_id, names[image_id], masks.get(image_id), tags)
            for image_id in ids
        ]

    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline on one item.

        Raises:
            ValueError: If the image file is missing, truncated, no image or too large;
                the message names it.
        """
        return run_pipeline(self.pipeline, self.get_data_info(idx))

    def _item(
        self, image_id: str, name: str, mask: str | None, tags: Tags | None
    ) -> dict[str, Any]:
        item: dict[str, Any] = dict(
            img_path=os.path.join(self.data_prefix['img_path'], name),
            img_id=result_name(name),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
            mask_classes=len(self._mask_classes()),
        )
        if mask is not None:
            item['seg_map_path'] = mask
        if 'seed_scores_path' in self.data_prefix:
            folder = self.data_prefix['seed_scores_path']
            item['seed_scores_path'] = os.path.join(folder, f'{item["img_id"]}.npz')
        if tags is not None:
            item['image_labels'] = encode_tags(tags[image_id], self.foreground)
        return item

    def _tag_path(self) -> str:
        return os.path.join(self.data_root or '', self.tags or '')

    def _mask_classes(self) -> Sequence[str]:
        """Names of the values in the masks, before `label_map`."""
        mapped = self.label_map is not None
        classes = self.METAINFO['classes'] if mapped else self._metainfo['classes']
        return list(classes)

    def _ignored(self) -> set[str]:
        """Classes of the annotations that the user left out of the class list."""
        return set(self._mask_classes()) - set(self._metainfo['classes'])

    def _read_tags(self) -> Tags | None:
        if self.tags is None:
            return None
        return read_tag_file(self._tag_path(), self.foreground, ignored=self._ignored())

    def _collect_tags(self, names: dict[str, str]) -> Tags:
        if self.tag_source == 'xml':
            stems = {
                os.path.splitext(name)[0]: image_id for image_id, name in names.items()
            }
            tags = tags_from_xml(
                self._tag_path(), stems, self.foreground, ignored=self._ignored()
            )
            return {stems[stem]: found for stem, found in tags.items()}
        paths = {
            image_id: file_of_image(self._tag_path(), name, '.png')
            for image_id, name in names.items()
        }
        return tags_from_masks(paths, self._mask_classes()[1:])

    def _find_masks(self, names: dict[str, str]) -> dict[str, str]:
        folder = self.data_prefix.get('seg_map_path')
        if folder is None:
            return {}
        masks = {
            image_id: file_of_image(folder, name, '.png')
            for image_id, name in names.items()
        }
        for image_id, path in masks.items():
            if not os.path.isfile(path):
                raise InputError(
                    f'no mask {path} for image {image_id!r}; make the pseudo masks '
                    'of the whole list with tools/gen_pseudo.py, or correct '
                    'data_prefix.seg_map_path'
                )
        return masks

    def _update_palette(self) -> list[list[int]]:
        """Colour a class list without palette as PASCAL VOC would."""
        classes = self._metainfo.get('classes') or ()
        if not self._metainfo.get('palette'):
            return synth_voc.voc_palette(len(classes))
        palette: list[list[int]] = super()._update_palette()
        return palette


def check_stems(names: dict[str, str], *, source: str | Path) -> None:
    """Refuse two images whose results would go to the same file."""
    seen: dict[str, str] = {}
    for image_id, name in names.items():
        stem = normalise_id(result_name(name), where=source)
        if stem in seen:
            raise InputError(
                f'{source}: {seen[stem]!r} and {image_id!r} differ in the extension '
                'only, so their masks would have one name; rename one image'
            )
        seen[stem] = image_id


def refuse_without_effect(arguments: Mapping[str, Any]) -> None:
    """Refuse what `BaseSegDataset` takes and nothing here would heed."""
    for name, (kept, reason) in WITHOUT_EFFECT.items():
        if arguments.get(name, kept) != kept:
            raise InputError(f'{name}={arguments[name]!r}: {reason}; leave it out')


def check_indices(indices: Any, count: int, *, source: str | Path) -> None:
    """Refuse `indices` that choose no image of a list, or one twice.

    Args:
        indices: A number of images, from the end if it is negative; a list of numbers;
            or None.
        count: Images in the list.
        source: The list.
    """
    if indices is None or isinstance(indices, int):
        return
    rows: set[int] = set()
    for index in indices:
        if type(index) is not int or not -count <= index < count:
            raise InputError(
                f'indices: {index!r} is none of the {count} images of {source}, which '
                'count from 0'
            )
        if index % count in rows:
            raise InputError(f'indices: {index} chooses an image of {source} twice')
        rows.add(index % count)


def check_classes(classes: Sequence[str] | None) -> None:
    """Refuse a class list without background first or with a name twice."""
    if not classes:
        raise InputError(
            "the dataset has no classes; give metainfo=dict(classes=('background', "
            "'first', ...))"
        )
    if len(classes) > MOST_CLASSES + 1:
        raise InputError(
            f'metainfo.classes has {len(classes)} names; a mask holds '
            f'{MOST_CLASSES + 1} with the background, as 255 marks pixels to ignore'
        )
    if classes[0] != BACKGROUND or len(classes) < 2:
        raise InputError(
            f'metainfo.classes is {tuple(classes)}; it must start with '
            f'{BACKGROUND!r} and name at least one class'
        )
    twice = sorted({name for name in classes if list(classes).count(name) > 1})
    if twice:
        raise InputError(f'metainfo.classes holds {", ".join(twice)} twice; keep one')


@DATASETS.register_module()
class VOCImageLabelDataset(ImageLabelDataset):
    """PASCAL VOC 2012 with image tags, by default those of the detection XML."""

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=VOC_CLASSES, palette=synth_voc.voc_palette(len(VOC_CLASSES))
    )

    def __init__(
        self,
        ann_file: str = '',
        *,
        tags: str | None = 'Annotations',
        tag_source: str = 'xml',
        data_prefix: dict[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ann_file,
            tags=tags,
            tag_source=tag_source,
            data_prefix=data_prefix or dict(img_path='JPEGImages'),
            **kwargs,
        )


@DATASETS.register_module()
class SynthVOCDataset(ImageLabelDataset):
    """SynthVOC, which `tools/dataset_converters/make_synth_voc.py` generates."""

    METAINFO: ClassVar[dict[str, Any]] = synth_voc.METAINFO

    def __init__(
        self,
        ann_file: str = '',
        *,
        tags: str | None = 'image_labels.csv',
        data_prefix: dict[str, str | None] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ann_file,
            tags=tags,
            data_prefix=data_prefix or dict(img_path='JPEGImages'),
            **kwargs,
        )
