"""Tensor names of CLIP's ViT-B/16 as OpenAI released it, and where ours are.

The key map is that of MMSegmentation's ``clip2mmseg.py``. What its Vision Transformer
has no place for (block 12, by which Grad-CAM goes, the last norm and the projection) is
in ``last_block``. Nothing here needs an MM package.

Reference:
    Radford et al., Learning Transferable Visual Models From Natural Language
    Supervision, ICML 2021; spec_clip, section 5.
"""

from collections.abc import Iterator, Mapping

from torch import Tensor

from wsss_mm.convert.backbone_layouts import Table
from wsss_mm.convert.checkpoint_shapes import Shape

IMAGE_WIDTH, TEXT_WIDTH, LAYERS = 768, 512, 12
PATCHES, PATCH = 14 * 14, 16
CONTEXT, VOCABULARY = 77, 49408
# Sizes that OpenAI's file holds beside the weights.
SIZES = ('input_resolution', 'context_length', 'vocab_size')

# Parts of a block, in OpenAI's and in MMSegmentation's two words.
_BLOCK = (
    ('ln_1', 'ln1', 'norms.0'),
    ('ln_2', 'ln2', 'norms.1'),
    ('attn', 'attn.attn', 'attentions.0.attn'),
    ('mlp.c_fc', 'ffn.layers.0.0', 'ffns.0.layers.0.0'),
    ('mlp.c_proj', 'ffn.layers.1', 'ffns.0.layers.1'),
)


def _block_shapes(width: int) -> Iterator[tuple[str, str, Shape]]:
    for norm in ('ln_1', 'ln_2'):
        yield norm, 'weight', (width,)
        yield norm, 'bias', (width,)
    yield 'attn', 'in_proj_weight', (3 * width, width)
    yield 'attn', 'in_proj_bias', (3 * width,)
    yield 'attn', 'out_proj.weight', (width, width)
    yield 'attn', 'out_proj.bias', (width,)
    yield 'mlp.c_fc', 'weight', (4 * width, width)
    yield 'mlp.c_fc', 'bias', (4 * width,)
    yield 'mlp.c_proj', 'weight', (width, 4 * width)
    yield 'mlp.c_proj', 'bias', (width,)


def _block_table(theirs: str, ours: str, width: int, *, image: bool) -> Table:
    names = {part: mine if image else text for part, mine, text in _BLOCK}
    return {
        f'{theirs}.{part}.{tensor}': (f'{ours}.{names[part]}.{tensor}', shape)
        for part, tensor, shape in _block_shapes(width)
    }


def _norm_table(theirs: str, ours: str, width: int) -> Table:
    return {f'{theirs}.{t}': (f'{ours}.{t}', (width,)) for t in ('weight', 'bias')}


def _clip_table() -> Table:
    image, text = IMAGE_WIDTH, TEXT_WIDTH
    table: Table = {
        'positional_embedding': ('text_encoder.positional_embedding', (CONTEXT, text)),
        'text_projection': ('text_encoder.text_projection', (text, text)),
        'logit_scale': ('text_encoder.logit_scale', ()),
        'token_embedding.weight': (
            'text_encoder.token_embedding.weight',
            (VOCABULARY, text),
        ),
        'visual.class_embedding': ('backbone.cls_token', (image,)),
        'visual.positional_embedding': ('backbone.pos_embed', (PATCHES + 1, image)),
        'visual.proj': ('last_block.proj', (image, text)),
        'visual.conv1.weight': (
            'backbone.patch_embed.projection.weight',
            (image, 3, PATCH, PATCH),
        ),
    }
    table |= _norm_table('ln_final', 'text_encoder.ln_final', text)
    table |= _norm_table('visual.ln_pre', 'backbone.ln_pre', image)
    table |= _norm_table('visual.ln_post', 'last_block.ln_post', image)
    for i in range(LAYERS):
        last = i == LAYERS - 1
        theirs, ours = f'transformer.resblocks.{i}', f'text_encoder.transformer.{i}'
        table |= _block_table(theirs, ours, text, image=False)
        ours = 'last_block.block' if last else f'backbone.layers.{i}'
        table |= _block_table(f'visual.{theirs}', ours, image, image=True)
    return table


CLIP_VIT_B16: Table = _clip_table()


def to_our_axes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the class token and the positions the leading axes that ours have.

    Args:
        state: Tensors by our name.
    """
    axes = {
        'backbone.cls_token': (1, 1, -1),
        'backbone.pos_embed': (1, -1, IMAGE_WIDTH),
    }
    return {k: t.reshape(axes[k]) if k in axes else t for k, t in state.items()}
