"""Tensor names and shapes of the backbones that released checkpoints hold.

Names are those of the released code. Nothing here needs an MM package.
"""

from collections.abc import Iterator

Shape = tuple[int | None, ...]

COUNTER = 'num_batches_tracked'
NORM_TENSORS = ('weight', 'bias', 'running_mean', 'running_var')
# Block, input, middle and output channels, 1x1 shortcut.
_BLOCKS = (
    ('b2', 64, 128, 128, True),
    ('b2_1', 128, 128, 128, False),
    ('b2_2', 128, 128, 128, False),
    ('b3', 128, 256, 256, True),
    ('b3_1', 256, 256, 256, False),
    ('b3_2', 256, 256, 256, False),
    ('b4', 256, 512, 512, True),
    *((f'b4_{i}', 512, 512, 512, False) for i in range(1, 6)),
    ('b5', 512, 512, 1024, True),
    ('b5_1', 1024, 512, 1024, False),
    ('b5_2', 1024, 512, 1024, False),
)


def norm_shapes(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    """Yield the tensors of one batch normalisation layer."""
    for tensor in NORM_TENSORS:
        yield f'{name}.{tensor}', (channels,)
    yield f'{name}.{COUNTER}', ()


def _resnet38_shapes() -> Iterator[tuple[str, Shape]]:
    yield 'conv1a.weight', (64, 3, 3, 3)
    for name, inputs, middle, outputs, projects in _BLOCKS:
        yield from norm_shapes(f'{name}.bn_branch2a', inputs)
        yield f'{name}.conv_branch2a.weight', (middle, inputs, 3, 3)
        yield from norm_shapes(f'{name}.bn_branch2b1', middle)
        yield f'{name}.conv_branch2b1.weight', (outputs, middle, 3, 3)
        if projects:
            yield f'{name}.conv_branch1.weight', (outputs, inputs, 1, 1)
    for name, inputs, outputs in (('b6', 1024, 2048), ('b7', 2048, 4096)):
        quarter, half = outputs // 4, outputs // 2
        yield from norm_shapes(f'{name}.bn_branch2a', inputs)
        yield f'{name}.conv_branch2a.weight', (quarter, inputs, 1, 1)
        yield from norm_shapes(f'{name}.bn_branch2b1', quarter)
        yield f'{name}.conv_branch2b1.weight', (half, quarter, 3, 3)
        yield from norm_shapes(f'{name}.bn_branch2b2', half)
        yield f'{name}.conv_branch2b2.weight', (outputs, half, 1, 1)
        yield f'{name}.conv_branch1.weight', (outputs, inputs, 1, 1)
    yield from norm_shapes('bn7', 4096)


RESNET38_SHAPES: dict[str, Shape] = dict(_resnet38_shapes())


def vgg16_shapes() -> Iterator[tuple[str, Shape]]:
    """Yield VGG-16 with the two convolutions of DeepLab's LargeFOV."""
    inputs = 3
    for stage, (width, count) in enumerate(
        ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), start=1
    ):
        for i in range(1, count + 1):
            yield f'conv{stage}_{i}.weight', (width, inputs, 3, 3)
            yield f'conv{stage}_{i}.bias', (width,)
            inputs = width
    for name, inputs, kernel in (('fc6', 512, 3), ('fc7', 1024, 1)):
        yield f'{name}.weight', (1024, inputs, kernel, kernel)
        yield f'{name}.bias', (1024,)


# Blocks a stage of ResNet and ResNeSt.
STAGE_BLOCKS = {
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
    200: (3, 24, 36, 3),
    269: (3, 30, 48, 8),
}


def resnet_shapes(depth: int) -> Iterator[tuple[str, Shape]]:
    """Yield torchvision's ResNet of 18, 34, 50, 101 or 152 layers, without `fc`."""
    yield 'conv1.weight', (64, 3, 7, 7)
    yield from norm_shapes('bn1', 64)
    inputs = 64
    for stage, blocks in enumerate(STAGE_BLOCKS[depth], start=1):
        middle = 32 * 2**stage
        outputs = middle if depth < 50 else 4 * middle
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            yield from _resnet_block_shapes(name, inputs, middle, outputs)
            if block == 0 and inputs != outputs:
                yield f'{name}.downsample.0.weight', (outputs, inputs, 1, 1)
                yield from norm_shapes(f'{name}.downsample.1', outputs)
            inputs = outputs


def _resnet_block_shapes(
    name: str, inputs: int, middle: int, outputs: int
) -> Iterator[tuple[str, Shape]]:
    if middle == outputs:
        sizes = [(inputs, middle, 3), (middle, middle, 3)]
    else:
        sizes = [(inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1)]
    for i, (channels, width, kernel) in enumerate(sizes, start=1):
        yield f'{name}.conv{i}.weight', (width, channels, kernel, kernel)
        yield from norm_shapes(f'{name}.bn{i}', width)


def resnest_shapes(depth: int) -> Iterator[tuple[str, Shape]]:
    """Yield ResNeSt-50, -101, -200 or -269 (radix 2, one group), without `fc`."""
    stem = 32 if depth == 50 else 64
    for i, (channels, width) in enumerate(((3, stem), (stem, stem), (stem, 2 * stem))):
        yield f'conv1.{3 * i}.weight', (width, channels, 3, 3)
        yield from norm_shapes('bn1' if i == 2 else f'conv1.{3 * i + 1}', width)
    inputs = 2 * stem
    for stage, blocks in enumerate(STAGE_BLOCKS[depth], start=1):
        middle, outputs = 32 * 2**stage, 128 * 2**stage
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            yield f'{name}.conv1.weight', (middle, inputs, 1, 1)
            yield from norm_shapes(f'{name}.bn1', middle)
            yield from _split_attention_shapes(f'{name}.conv2', middle)
            yield f'{name}.conv3.weight', (outputs, middle, 1, 1)
            yield from norm_shapes(f'{name}.bn3', outputs)
            if block == 0:
                # An average pool without tensors comes first.
                yield f'{name}.downsample.1.weight', (outputs, inputs, 1, 1)
                yield from norm_shapes(f'{name}.downsample.2', outputs)
            inputs = outputs


def _split_attention_shapes(name: str, width: int) -> Iterator[tuple[str, Shape]]:
    squeezed = max(width // 2, 32)
    yield f'{name}.conv.weight', (2 * width, width // 2, 3, 3)
    yield from norm_shapes(f'{name}.bn0', 2 * width)
    yield f'{name}.fc1.weight', (squeezed, width, 1, 1)
    yield f'{name}.fc1.bias', (squeezed,)
    yield from norm_shapes(f'{name}.bn1', squeezed)
    yield f'{name}.fc2.weight', (2 * width, squeezed, 1, 1)
    yield f'{name}.fc2.bias', (2 * width,)
