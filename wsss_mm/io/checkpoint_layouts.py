"""What released checkpoints hold: tensor names, shapes, and our names for them.

A layout is a table from a released tensor name to our name and its shape. Nothing
here needs an MM package.
"""

from collections.abc import Iterator

Shape = tuple[int | None, ...]
Table = dict[str, tuple[str, Shape]]

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


def _norm_shapes(name: str, channels: int) -> Iterator[tuple[str, Shape]]:
    for tensor in NORM_TENSORS:
        yield f'{name}.{tensor}', (channels,)
    yield f'{name}.{COUNTER}', ()


def _backbone_shapes() -> Iterator[tuple[str, Shape]]:
    yield 'conv1a.weight', (64, 3, 3, 3)
    for name, inputs, middle, outputs, projects in _BLOCKS:
        yield from _norm_shapes(f'{name}.bn_branch2a', inputs)
        yield f'{name}.conv_branch2a.weight', (middle, inputs, 3, 3)
        yield from _norm_shapes(f'{name}.bn_branch2b1', middle)
        yield f'{name}.conv_branch2b1.weight', (outputs, middle, 3, 3)
        if projects:
            yield f'{name}.conv_branch1.weight', (outputs, inputs, 1, 1)
    for name, inputs, outputs in (('b6', 1024, 2048), ('b7', 2048, 4096)):
        quarter, half = outputs // 4, outputs // 2
        yield from _norm_shapes(f'{name}.bn_branch2a', inputs)
        yield f'{name}.conv_branch2a.weight', (quarter, inputs, 1, 1)
        yield from _norm_shapes(f'{name}.bn_branch2b1', quarter)
        yield f'{name}.conv_branch2b1.weight', (half, quarter, 3, 3)
        yield from _norm_shapes(f'{name}.bn_branch2b2', half)
        yield f'{name}.conv_branch2b2.weight', (outputs, half, 1, 1)
        yield f'{name}.conv_branch1.weight', (outputs, inputs, 1, 1)
    yield from _norm_shapes('bn7', 4096)


RESNET38_SHAPES: dict[str, Shape] = dict(_backbone_shapes())


def _norm_names(theirs: str, ours: str) -> Table:
    return {
        key: (key.replace(theirs, ours, 1), shape)
        for key, shape in _norm_shapes(theirs, 512)
    }


def _vgg16_shapes() -> Iterator[tuple[str, Shape]]:
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


def _resnet50_shapes() -> Iterator[tuple[str, Shape]]:
    yield 'conv1.weight', (64, 3, 7, 7)
    yield from _norm_shapes('bn1', 64)
    inputs = 64
    for stage, blocks in enumerate((3, 4, 6, 3), start=1):
        middle, outputs = 32 * 2**stage, 128 * 2**stage
        for block in range(blocks):
            name = f'layer{stage}.{block}'
            sizes = ((inputs, middle, 1), (middle, middle, 3), (middle, outputs, 1))
            for i, (channels, width, kernel) in enumerate(sizes, start=1):
                yield f'{name}.conv{i}.weight', (width, channels, kernel, kernel)
                yield from _norm_shapes(f'{name}.bn{i}', width)
            if block == 0:
                yield f'{name}.downsample.0.weight', (outputs, inputs, 1, 1)
                yield from _norm_shapes(f'{name}.downsample.1', outputs)
            inputs = outputs


def _backbone(shapes: dict[str, Shape], prefix: str = '') -> Table:
    return {
        f'{prefix}{name}': (f'backbone.{name}', shape) for name, shape in shapes.items()
    }


def _affinity_tables(taps: tuple[int, int, int]) -> Table:
    table: Table = {}
    for i, (channels, width) in enumerate(zip(taps, (64, 128, 256))):
        ours = f'decode_head.embed.{i}.weight'
        table[f'f8_{i + 3}.weight'] = (ours, (width, channels, 1, 1))
    table['f9.weight'] = ('decode_head.fuse.weight', (448, 448, 1, 1))
    return table


def _edge_tables() -> Table:
    table: Table = {}
    for i, channels in enumerate((64, 256, 512, 1024, 2048)):
        theirs, ours = f'fc_edge{i + 1}', f'decode_head.squeeze.{i}'
        table[f'{theirs}.0.weight'] = (f'{ours}.0.weight', (32, channels, 1, 1))
        for tensor in ('weight', 'bias'):
            table[f'{theirs}.1.{tensor}'] = (f'{ours}.1.{tensor}', (32,))
    table['fc_edge6.weight'] = ('decode_head.classifier.weight', (1, 160, 1, 1))
    table['fc_edge6.bias'] = ('decode_head.classifier.bias', (1,))
    return table


# Our name and the shape of every tensor; None is a size that depends on the number of
# classes.
_CLASSIFIER = 'decode_head.classifier.weight'
_R38 = _backbone(RESNET38_SHAPES)
_VGG16 = _backbone(dict(_vgg16_shapes()))
TABLES: dict[str, Table] = {
    'resnet38': _R38,
    'resnet38_psa_cls': _R38 | {'fc8.weight': (_CLASSIFIER, (None, 4096, 1, 1))},
    'resnet38_psa_aff': _R38 | _affinity_tables((512, 1024, 4096)),
    'resnet38_seam': _R38
    | {
        'fc8.weight': (_CLASSIFIER, (None, 4096, 1, 1)),
        'f8_3.weight': ('neck.f8_3.weight', (64, 512, 1, 1)),
        'f8_4.weight': ('neck.f8_4.weight', (128, 1024, 1, 1)),
        'f9.weight': ('neck.f9.weight', (192, 195, 1, 1)),
    },
    'seam_deeplabv1': _backbone(RESNET38_SHAPES, 'backbone.')
    | {
        'conv_fov.weight': ('decode_head.conv_fov.conv.weight', (512, 4096, 3, 3)),
        **_norm_names('bn_fov', 'decode_head.conv_fov.bn'),
        'conv_fov2.weight': ('decode_head.conv_fov2.conv.weight', (512, 512, 1, 1)),
        **_norm_names('bn_fov2', 'decode_head.conv_fov2.bn'),
        'cls_conv.weight': ('decode_head.conv_seg.weight', (None, 512, 1, 1)),
        'cls_conv.bias': ('decode_head.conv_seg.bias', (None,)),
    },
    'vgg16_psa_cls': _VGG16 | {'fc8.weight': (_CLASSIFIER, (None, 1024, 1, 1))},
    'vgg16_psa_aff': _VGG16
    | _affinity_tables((512, 512, 1024))
    | {
        f'gn8_{i + 3}.{tensor}': (f'decode_head.norms.{i}.{tensor}', (width,))
        for i, width in enumerate((64, 128, 256))
        for tensor in ('weight', 'bias')
    },
    'puzzle_affnet_r50': _backbone(dict(_resnet50_shapes()), 'model.') | _edge_tables(),
}
# Tensors that a file holds a second time under another name, and path indices.
DUPLICATES: dict[str, tuple[str, ...]] = {
    'puzzle_affnet_r50': (
        *('stage1.', 'stage2.', 'stage3.', 'stage4.', 'stage5.'),
        *('backbone.', 'edge_layers.', 'path_indices_'),
    ),
}
LAYOUTS = tuple(TABLES)
