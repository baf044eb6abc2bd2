"""A dataset: images sorted into folders, each image tagged with its folder's name."""

from pathlib import Path
from typing import Any

from wsss_mm.datasets import ImageLabelDataset
from wsss_mm.datasets.tags import encode_tags
from wsss_mm.registry import DATASETS
from wsss_mm.utils.errors import InputError


@DATASETS.register_module()
class FolderNamesDataset(ImageLabelDataset):
    """Images in folders named like the classes, as classification datasets are kept.

    Give the folder of the folders as `tags` and as `data_prefix.img_path`. It has no
    lists and no masks; images directly in it have no tags.

    Raises:
        InputError: If a folder is not named like a class.
    """

    def load_data_list(self) -> list[dict[str, Any]]:
        """List the images of all folders."""
        root = Path(self.data_prefix['img_path'])
        return [self.item(path, root) for path in sorted(root.rglob('*.jpg'))]

    def item(self, path: Path, root: Path) -> dict[str, Any]:
        """Describe one image as pipelines and commands read it."""
        name = path.relative_to(root).with_suffix('')
        tags = set(name.parts[:1]) if len(name.parts) > 1 else set()
        if not tags <= set(self.foreground):
            raise InputError(
                f'{path}: its folder is not one of the classes '
                f'{", ".join(self.foreground)}'
            )
        return dict(
            img_path=str(path),
            img_id=name.as_posix(),
            image_labels=encode_tags(tags, self.foreground),
            mask_classes=len(self.metainfo['classes']),
            label_map=self.label_map,
            reduce_zero_label=self.reduce_zero_label,
            seg_fields=[],
        )
