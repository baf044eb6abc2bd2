"""Show some CAMs in TensorBoard, Weights & Biases or wherever the visualizer writes."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from wsss_mm.io.image_file import read_rgb
from wsss_mm.registry import HOOKS
from wsss_mm.utils.errors import InputError
from wsss_mm.visualization import draw_cam, draw_tags, side_by_side

from .pseudo_label_hook import present_maps


@HOOKS.register_module()
class CAMPanelHook(Hook):
    """Give the first images of a validation to the visualizer: image and its CAMs.

    Each panel is called ``cam_<image>``, with ``_`` for ``/``, and has one step for
    each validation.

    Args:
        images: How many, of the first process.
        height: Of a panel, in pixels.

    Raises:
        InputError: If `images` or `height` is not positive.
    """

    priority = 'LOW'

    def __init__(self, *, images: int = 4, height: int = 240) -> None:
        if images < 1 or height < 1:
            raise InputError(
                f'images={images}, height={height}: both must be at least 1'
            )
        self.images = images
        self.height = height
        self.left = 0

    def before_val_epoch(self, runner: Runner) -> None:
        """Start with the first image again."""
        self.left = self.images

    def after_val_iter(
        self, runner: Runner, batch_idx: int, data_batch: object, outputs: list
    ) -> None:
        """Draw the images of a batch until there are enough."""
        if not is_main_process():
            return
        names = runner.val_dataloader.dataset.metainfo['classes']
        for sample in outputs[: self.left]:
            self.left -= 1
            if 'cam' not in sample or 'image_labels' not in sample:
                continue  # a segmenter, or an image without tags
            classes, maps = present_maps(sample)
            image = read_rgb(sample.img_path)
            tags = [names[int(index) + 1] for index in classes]
            panels = [draw_tags(image, tags)]
            panels += [
                draw_tags(draw_cam(image, cam), [tag]) for tag, cam in zip(tags, maps)
            ]
            panel = side_by_side(panels, height=self.height)
            # MMEngine's local backend writes no file into a folder of the name.
            name = 'cam_' + sample.img_id.replace('/', '_')
            runner.visualizer.add_image(name, panel, step=runner.iter)
