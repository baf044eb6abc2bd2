"""The files of a project on somebody's photographs, as text."""

import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsss_mm import __version__
from wsss_mm.workflow.clip_project import CONFIG, CLIPChoice, clip_text
from wsss_mm.workflow.project_plan import Network, Sizes, config_path

WRITTEN = f'Written by `wsss new` {__version__}; change what you like.'


@dataclass(frozen=True, kw_only=True)
class ProjectFiles:
    """What the files of a project say.

    Attributes:
        name: Of the project; its files are called by it.
        folder: Of the files, absolute.
        images: Folder of the images to train on, absolute.
        count: How many there are.
        classes: Names of the classes, background first.
        network: What is trained.
        sizes: Of images, batches and trainings.
        chain: Refiner of the pseudo masks.
        workers: Processes that load images.
        clip: What CLIP-ES needs; None where the CAM network is trained.
    """

    name: str
    folder: Path
    images: Path
    count: int
    classes: Sequence[str]
    network: Network
    sizes: Sizes
    chain: str
    workers: int
    clip: CLIPChoice | None = None

    @property
    def tags(self) -> Path:
        """The table of tags."""
        return self.folder / 'tags.csv'

    @property
    def config(self) -> Path:
        """Config of the CAM network, which `wsss run` takes."""
        return self.folder / f'{self.name}.py'

    @property
    def segmenter(self) -> Path:
        """Config of the segmenter."""
        return self.folder / f'{self.name}_{self.network.suffix}.py'

    @property
    def dataset(self) -> Path:
        """Config of the images."""
        return self.folder / f'{self.name}_images.py'

    def texts(self) -> dict[Path, str]:
        """Write the text of every config."""
        return {
            self.dataset: dataset_text(self),
            self.config: cam_text(self),
            self.segmenter: segmenter_text(self),
        }


def dataset_text(files: ProjectFiles) -> str:
    """Write the config of the images."""
    classes = pprint.pformat(tuple(files.classes), width=70, compact=True)
    classes = classes.replace('\n', '\n        ')
    return f"""\
# {files.count} photographs with image tags.
# {WRITTEN}
photos = dict(
    type='ImageLabelDataset',
    data_root={str(files.images)!r},
    data_prefix=dict(img_path=''),
    tags={str(files.tags)!r},
    metainfo=dict(
        classes={classes},
    ),
    _delete_=True,
)
"""


def cam_text(files: ProjectFiles) -> str:
    """Write the config of the CAM network."""
    if files.clip is not None:
        return clip_text(
            files.clip,
            bases=(config_path(CONFIG, files.folder), f'./{files.dataset.name}'),
            note=WRITTEN,
            num_classes=len(files.classes),
            side=files.sizes.side,
            workers=files.workers,
        )
    sizes = files.sizes
    low, high = round(0.75 * sizes.side), round(1.3 * sizes.side)
    return f"""\
# The CAM network, trained from the tags.
# {WRITTEN}
_base_ = [
    {config_path(files.network.cam, files.folder)!r},
    './{files.dataset.name}',
]
{model_text(files)}
# Which chain of `refine` makes the masks that the segmenter learns from.
default_refine = {files.chain!r}
train_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    dict(type='RandomResizeLong', low={low}, high={high}),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='ColorJitterPIL', brightness=0.3, contrast=0.3, saturation=0.3, hue=0.1
    ),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=({sizes.crop}, {sizes.crop})),
    dict(type='PackWSSSInputs'),
]
{test_text(files)}
# Tags are all there is to check against.
val_evaluator = [dict(type='TagMAPMetric')]
test_evaluator = val_evaluator
{schedule_text(sizes.cam_steps, 0)}"""


def segmenter_text(files: ProjectFiles) -> str:
    """Write the config of the segmenter."""
    sizes = files.sizes
    return f"""\
# The segmenter, trained from the pseudo masks.
# {WRITTEN}
_base_ = [
    {config_path(files.network.segmenter, files.folder)!r},
    './{files.dataset.name}',
]
{model_text(files, segmenter=True)}
train_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    dict(type='LoadTrainingMask'),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomResize',
        scale=({sizes.side}, {sizes.side}),
        ratio_range=(0.75, 1.5),
        keep_ratio=True,
        interpolation='bicubic',
    ),
    dict(type='NormalizeFloat'),
    dict(type='RandomCropPad', crop_size=({sizes.crop}, {sizes.crop})),
    dict(type='PackSegInputs'),
]
{test_text(files)}
tta_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    dict(type='NormalizeFloat'),
    dict(
        type='TestTimeAug',
        transforms=[
            [
                dict(type='Resize', scale=(side, side), keep_ratio=True)
                for side in {tuple(round(f * sizes.side) for f in (0.75, 1.0, 1.25))}
            ],
            [dict(type='RandomFlip', prob=0.0), dict(type='RandomFlip', prob=1.0)],
            [dict(type='LoadEvaluationMask')],
            [dict(type='PackWSSSInputs')],
        ],
    ),
]
{schedule_text(sizes.segmenter_steps, sizes.segmenter_steps // 10)}"""


def model_text(files: ProjectFiles, *, segmenter: bool = False) -> str:
    """Write what differs in the network: weights, classes, and the padding."""
    lines = ['model = dict(']
    if segmenter and files.network.padded:
        crop = files.sizes.crop
        lines.append(f'    data_preprocessor=dict(size=({crop}, {crop})),')
    backbone = []
    if files.sizes.frozen is not None:
        backbone.append(f'frozen_stages={files.sizes.frozen}')
    if files.network.weights is not None:
        backbone.append(f'init_cfg=dict(checkpoint={files.network.weights!r})')
    if backbone:
        lines += [
            '    backbone=dict(',
            *(f'        {one},' for one in backbone),
            '    ),',
        ]
    lines.append(f'    decode_head=dict(num_classes={len(files.classes)}),')
    return '\n'.join([*lines, ')'])


def test_text(files: ProjectFiles) -> str:
    """Write the data loaders, and how one image is looked at."""
    sizes, workers = files.sizes, files.workers
    return f"""\
test_pipeline = [
    dict(type='LoadImageFromFile', imdecode_backend='pillow'),
    dict(type='BGRToRGB'),
    # Photographs of any size are looked at like those of the training.
    dict(type='Resize', scale=({sizes.side}, {sizes.side}), keep_ratio=True),
    dict(type='NormalizeFloat'),
    dict(type='LoadEvaluationMask'),
    dict(type='PackWSSSInputs'),
]
train_dataloader = dict(
    batch_size={sizes.batch},
    num_workers={workers},
    dataset=dict(**_base_.photos, pipeline=train_pipeline),
)
val_dataloader = dict(
    num_workers={workers},
    dataset=dict(**_base_.photos, pipeline=test_pipeline),
)
test_dataloader = val_dataloader"""


def schedule_text(steps: int, warm_up: int) -> str:
    """Write the length of a training and its learning rates."""
    rise = (
        f"    dict(type='LinearLR', start_factor=0.05, begin=0, end={warm_up}, "
        'by_epoch=False),\n'
        if warm_up
        else ''
    )
    kind = 'PolyLR' if warm_up else 'ReferencePolyLR'
    return f"""\
param_scheduler = [
{rise}    dict(type={kind!r}, power=0.9, begin={warm_up}, end={steps}, by_epoch=False),
]
train_cfg = dict(max_iters={steps}, val_interval={steps})
"""
