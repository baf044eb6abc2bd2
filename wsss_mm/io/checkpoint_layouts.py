"""What released checkpoints hold: tensor names, shapes, and our names for them.

A layout is a table from a released tensor name to our name and its shape. Nothing
here needs an MM package.
"""

from wsss_mm.io.checkpoint_shapes import (
    RESNET38_SHAPES,
    Shape,
    norm_shapes,
    resnest_shapes,
    resnet_shapes,
    vgg16_shapes,
)

Table = dict[str, tuple[str, Shape]]


def _norm_names(theirs: str, ours: str) -> Table:
    return {
        key: (key.replace(theirs, ours, 1), shape)
        for key, shape in norm_shapes(theirs, 512)
    }


def _backbone(shapes: dict[str, Shape], prefix: str = '') -> Table:
    return {
        f'{prefix}{name}': (f'backbone.{name}', shape) for name, shape in shapes.items()
    }


def _resnest(depth: int, prefix: str = '') -> Table:
    table: Table = {}
    for name, shape in resnest_shapes(depth):
        first, rest = name.split('.', 1)
        # MMSegmentation keeps the whole stem in one module.
        stem = {'conv1': f'stem.{rest}', 'bn1': f'stem.7.{rest}'}
        table[f'{prefix}{name}'] = (f'backbone.{stem.get(first, name)}', shape)
    return table


def _affinity_tables(taps: tuple[int, int, int]) -> Table:
    table: Table = {}
    for i, (channels, width) in enumerate(zip(taps, (64, 128, 256))):
        ours = f'decode_head.embed.{i}.weight'
        table[f'f8_{i + 3}.weight'] = (ours, (width, channels, 1, 1))
    table['f9.weight'] = ('decode_head.fuse.weight', (448, 448, 1, 1))
    return table


def _edge_tables(stem: int = 64) -> Table:
    table: Table = {}
    for i, channels in enumerate((stem, 256, 512, 1024, 2048)):
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
_VGG16 = _backbone(dict(vgg16_shapes()))
_R50 = dict(resnet_shapes(50))
_POOLED = {'classifier.weight': (_CLASSIFIER, (None, 2048, 1, 1))}
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
    'puzzle_resnet50': _backbone(_R50, 'model.') | _POOLED,
    **{f'puzzle_resnest{n}': _resnest(n, 'model.') | _POOLED for n in (50, 101, 269)},
    'puzzle_affnet_r50': _backbone(_R50, 'model.') | _edge_tables(),
    'puzzle_affnet_resnest50': _resnest(50, 'model.') | _edge_tables(),
    'puzzle_affnet_resnest101': _resnest(101, 'model.') | _edge_tables(128),
    'puzzle_affnet_resnest269': _resnest(269, 'model.') | _edge_tables(128),
    'irn_resnet50': _backbone(_R50, 'resnet50.') | _POOLED,
}
LAYOUTS = tuple(TABLES)

# Prefixes under which a file holds tensors a second time, and whose they are.
_PUZZLE_STAGES = {
    'stage1.0.': 'model.conv1.',
    'stage1.1.': 'model.bn1.',
    **{f'stage{i + 1}.0.': f'model.layer{i}.' for i in (1, 2, 3, 4)},
}
_EDGE_STAGES = {
    **_PUZZLE_STAGES,
    'backbone.0.0.': 'model.conv1.',
    'backbone.0.1.': 'model.bn1.',
    **{f'backbone.{i}.0.': f'model.layer{i}.' for i in (1, 2, 3, 4)},
    **{f'edge_layers.{i}.': f'fc_edge{i + 1}.' for i in range(6)},
}
_IRN_STAGES = {
    **{f'{stage}0.': 'resnet50.conv1.' for stage in ('stage1.', 'backbone.0.')},
    **{f'{stage}1.': 'resnet50.bn1.' for stage in ('stage1.', 'backbone.0.')},
    **{f'{stage}4.': 'resnet50.layer1.' for stage in ('stage1.', 'backbone.0.')},
    **{f'stage{i}.0.': f'resnet50.layer{i}.' for i in (2, 3, 4)},
    **{f'backbone.{i - 1}.0.': f'resnet50.layer{i}.' for i in (2, 3, 4)},
}
DUPLICATES: dict[str, dict[str, str]] = {
    **{key: _PUZZLE_STAGES for key in LAYOUTS if key.startswith('puzzle_resne')},
    **{key: _EDGE_STAGES for key in LAYOUTS if key.startswith('puzzle_affnet')},
    'irn_resnet50': {**_IRN_STAGES, 'newly_added.0.': 'classifier.'},
}
# Prefixes of tensors that our models have no use for, and why.
DROPPED: dict[str, dict[str, str]] = {
    key: {'path_indices_': 'pairs of one crop size, which ours finds for any size'}
    for key in LAYOUTS
    if key.startswith('puzzle_affnet')
}
