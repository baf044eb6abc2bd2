"""Write CAMs and pseudo masks from inside a test or validation loop."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from mmengine.utils import ProgressBar

from wsss_mm.io.atomic import remove_unfinished
from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.io.output_folder import OutputFolder
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError

CAM_FOLDER, MASK_FOLDER = 'cams', 'masks'


def present_maps(
    sample: BaseDataElement,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[Any]]:
    """Give the foreground indices of an image's labels and the CAMs of these classes.

    Args:
        sample: Prediction with ``image_labels`` (C,) and ``cam``, the maps of the
            present classes (PresentMaps) or those of all classes (PixelData).

    Returns:
        Indices, shape (n,), and maps, shape (n, H, W).
    """
    if 'maps' in sample.cam:
        return np.array(sample.cam.classes, np.int64), sample.cam.maps.cpu().numpy()
    classes = sample.image_labels.nonzero().flatten()
    return classes.cpu().numpy(), sample.cam.data[classes].cpu().numpy()


def input_folders(dataset: Any) -> list[str]:
    """List the folders that a dataset, also one that wraps others, reads."""
    inner = [*getattr(dataset, 'datasets', ()), *filter(None, [wrapped(dataset)])]
    own = dict(getattr(dataset, 'data_prefix', None) or {}).values()
    return [
        *(folder for folder in own if isinstance(folder, str) and folder),
        *(folder for one in inner for folder in input_folders(one)),
    ]


def wrapped(dataset: Any) -> Any:
    """Give the dataset that another repeats or balances, None if it does not."""
    return getattr(dataset, 'dataset', None)


@HOOKS.register_module()
class PseudoLabelHook(Hook):
    """Save what a CAM network predicts: ``cams/<id>.npz`` and ``masks/<id>.png``.

    Args:
        out_dir: Folder that receives ``cams`` and ``masks``.
        save_cams: Write the CAMs of the present classes.
        save_masks: Write the palette masks.
        progress: Show a bar with the time left, on a terminal.
        inputs: Folders that nothing is written into, beside those of the dataset that
            is predicted.
    """

    priority = 'LOW'

    def __init__(
        self,
        out_dir: str,
        *,
        save_cams: bool = True,
        save_masks: bool = True,
        progress: bool = False,
        inputs: Sequence[str] = (),
    ) -> None:
        self.out_dir = Path(out_dir)
        self.save_cams = save_cams
        self.save_masks = save_masks
        self.progress = progress and sys.stdout.isatty() and is_main_process()
        self.bar: ProgressBar | None = None
        self.output = OutputFolder(out_dir, inputs=inputs)
        self.written: dict[str, str] = {}

    def before_run(self, runner: Runner) -> None:
        """Fail early when nothing can be written."""
        try:
            self.out_dir.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(
                f'{self.out_dir}: cannot be made a folder ({error.strerror}); '
                'choose another output folder'
            ) from error
        if is_main_process():
            for name in (CAM_FOLDER, MASK_FOLDER):
                remove_unfinished(self.out_dir / name, below=True)
        if not os.access(self.out_dir, os.W_OK):
            raise InputError(
                f'{self.out_dir}: cannot be written to; choose another output folder'
            )

    def before_test(self, runner: Runner) -> None:
        """Note what is read; start the progress bar."""
        self.protect(runner.test_dataloader.dataset)
        if self.progress:
            self.bar = ProgressBar(len(runner.test_dataloader))

    def before_val(self, runner: Runner) -> None:
        """Note what is read."""
        self.protect(runner.val_dataloader.dataset)

    def protect(self, dataset: Any) -> None:
        """Let nothing be written into a dataset's folders; begin a pass over it."""
        self.written = {}
        self.output.protect(input_folders(dataset))

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: object, outputs: list
    ) -> None:
        """Save the predictions of a test batch."""
        palette = runner.test_dataloader.dataset.metainfo['palette']
        for sample in outputs:
            self.write(sample, palette)
        if self.bar is not None:
            self.bar.update()

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: object, outputs: list
    ) -> None:
        """Save the predictions of a validation batch."""
        palette = runner.val_dataloader.dataset.metainfo['palette']
        for sample in outputs:
            self.write(sample, palette)

    def write(self, sample: BaseDataElement, palette: list) -> None:
        """Save one prediction; the mask comes last and marks the image as done."""
        name = sample.metainfo['img_id']
        image = str(sample.metainfo.get('img_path', name))
        if self.written.setdefault(name, image) != image:
            raise InputError(
                f'{image} and {self.written[name]} have one name, {name!r}, so that '
                'one would replace the results of the other; give each dataset an '
                'output folder'
            )
        if self.save_cams:
            if 'image_labels' not in sample:
                raise InputError(
                    f'{sample.metainfo.get("img_path", name)}: no image tags; pseudo '
                    "labels are made of the tags' classes, give the dataset its tags"
                )
            classes, maps = present_maps(sample)
            path = self.output.path_of(name, '.npz', folder=CAM_FOLDER)
            save_cam(path, classes, maps)
        if self.save_masks:
            save_mask(
                self.output.path_of(name, '.png', folder=MASK_FOLDER),
                sample.pred_sem_seg.data[0].cpu().numpy().astype('uint8'),
                palette,
            )
