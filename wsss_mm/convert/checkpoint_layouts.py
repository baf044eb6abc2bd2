"""What released checkpoints hold: tensor names, shapes, and our names for them.

A layout is a table from a released tensor name to our name and its shape. Nothing
here needs an MM package.
"""

from wsss_mm.convert.backbone_layouts import (
    BACKBONE_DROPPED,
    BACKBONE_TABLES,
    VGG16_CONVS,
    VGG16_LARGEFOV,
    Table,
    backbone_table,
    resnest_table,
)
from wsss_mm.convert.checkpoint_shapes import (
    RESNET38_SHAPES,
    norm_shapes,
    resnet_shapes,
)
from wsss_mm.convert.clip_names import CLIP_DROPPED, CLIP_VIT_B16


def _norm_names(theirs: str, ours: str) -> Table:
    return {
        key: (key.replace(theirs, ours, 1), shape)
        for key, shape in norm_shapes(theirs, 512)
    }


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


def _deeplabv3plus_tables() -> Table:
    classifier = 'decoder.classifier'
    layers = [
        ('aspp.aspp1.atrous_conv', 'aspp.aspp1.bn', 'aspp.0', (256, 2048, 1, 1)),
        ('aspp.aspp2.atrous_conv', 'aspp.aspp2.bn', 'aspp.1', (256, 2048, 3, 3)),
        ('aspp.aspp3.atrous_conv', 'aspp.aspp3.bn', 'aspp.2', (256, 2048, 3, 3)),
        ('aspp.aspp4.atrous_conv', 'aspp.aspp4.bn', 'aspp.3', (256, 2048, 3, 3)),
        ('aspp.global_avg_pool.1', 'aspp.global_avg_pool.2', 'pool', (256, 2048, 1, 1)),
        ('aspp.conv1', 'aspp.bn1', 'bottleneck', (256, 1280, 1, 1)),
        ('decoder.conv1', 'decoder.bn1', 'reduce', (48, 256, 1, 1)),
        (f'{classifier}.0', f'{classifier}.1', 'fuse.0', (256, 304, 3, 3)),
        (f'{classifier}.4', f'{classifier}.5', 'fuse.1', (256, 256, 3, 3)),
    ]
    table: Table = {}
    for conv, norm, name, shape in layers:
        ours = f'decode_head.{name}'
        table[f'{conv}.weight'] = (f'{ours}.conv.weight', shape)
        for tensor in ('weight', 'bias'):
            table[f'{norm}.{tensor}'] = (f'{ours}.gn.{tensor}', shape[:1])
    ours = 'decode_head.conv_seg'
    table[f'{classifier}.8.weight'] = (f'{ours}.weight', (None, 256, 1, 1))
    table[f'{classifier}.8.bias'] = (f'{ours}.bias', (None,))
    return table


def _erasing_tables() -> Table:
    table: Table = {}
    for branch in ('1', '2'):
        ours = f'decode_head.branch_{"ab"[int(branch) - 1]}'
        for theirs, mine, shape in (
            (f'conv1_b{branch}', 'convs.0', (512, 512, 3, 3)),
            (f'conv2_b{branch}', 'convs.1', (512, 512, 3, 3)),
            (f'score_b{branch}', 'score', (None, 512, 1, 1)),
        ):
            table[f'{theirs}.weight'] = (f'{ours}.{mine}.weight', shape)
            table[f'{theirs}.bias'] = (f'{ours}.{mine}.bias', shape[:1])
    return table


# Our name and the shape of every tensor; None is a size that depends on the number of
# classes.
_CLASSIFIER = 'decode_head.classifier.weight'
_R38 = backbone_table(RESNET38_SHAPES)
_VGG16 = backbone_table(VGG16_LARGEFOV)
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
    'seam_deeplabv1': backbone_table(RESNET38_SHAPES, 'backbone.')
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
    'puzzle_resnet50': backbone_table(_R50, 'model.') | _POOLED,
    **{
        f'puzzle_resnest{n}': resnest_table(n, 'model.') | _POOLED
        for n in (50, 101, 269)
    },
    'puzzle_affnet_r50': backbone_table(_R50, 'model.') | _edge_tables(),
    'puzzle_affnet_resnest50': resnest_table(50, 'model.') | _edge_tables(),
    'puzzle_affnet_resnest101': resnest_table(101, 'model.') | _edge_tables(128),
    'puzzle_affnet_resnest269': resnest_table(269, 'model.') | _edge_tables(128),
    **{
        f'puzzle_deeplabv3plus_resnest{n}': resnest_table(n, 'model.')
        | _deeplabv3plus_tables()
        for n in (50, 101, 269)
    },
    'irn_resnet50': backbone_table(_R50, 'resnet50.') | _POOLED,
    'seenet_vgg16': backbone_table(VGG16_CONVS) | _erasing_tables(),
    **BACKBONE_TABLES,
    'clip_vit_b16': CLIP_VIT_B16,
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
    **{key: _PUZZLE_STAGES for key in LAYOUTS if key.startswith('puzzle')},
    **{key: _EDGE_STAGES for key in LAYOUTS if key.startswith('puzzle_affnet')},
    'irn_resnet50': {**_IRN_STAGES, 'newly_added.0.': 'classifier.'},
}
# Prefixes of tensors that our models have no use for, and why.
DROPPED: dict[str, dict[str, str]] = {
    **{
        key: {'path_indices_': 'pairs of one crop size, which ours finds for any size'}
        for key in LAYOUTS
        if key.startswith('puzzle_affnet')
    },
    **BACKBONE_DROPPED,
    'clip_vit_b16': CLIP_DROPPED,
}
