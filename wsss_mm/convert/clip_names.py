"""Tensor names of CLIP's ViT-B/16 as OpenAI released it, and where ours are.

The key map is that of MMSegmentation's ``clip2mmseg.py``. What its Vision Transformer
has no place for (block 12, by which Grad-CAM goes, the last norm and the projection) is
in ``last_block``. Nothing here needs an MM package.

Reference:
    Radford et al., Learning Transferable Visual Models From Natural Language
    Supervision, ICML 2021; spec_clip, section 5.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from wsss_mm.convert.backbone_layouts import Table
from wsss_mm.convert.checkpoint_shapes import Shape
from wsss_mm.utils.errors import InputError

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


# Tensors of no use to our models, and why.
CLIP_DROPPED = {
    **dict.fromkeys(SIZES, 'a size, stored beside the weights'),
    **dict.fromkeys(
        ('attn_mask', *(f'transformer.resblocks.{i}.attn_mask' for i in range(LAYERS))),
        'which words a word may see, the same for every text',
    ),
    **dict.fromkeys(
        (f'{part}_model.embeddings.position_ids' for part in ('text', 'vision')),
        'numbers of the positions',
    ),
}

# Hugging Face's words for OpenAI's, but those of attention, which OpenAI keeps in one.
_HUGGING_FACE = {
    'logit_scale': 'logit_scale',
    'text_model.embeddings.token_embedding.weight': 'token_embedding.weight',
    'text_model.embeddings.position_embedding.weight': 'positional_embedding',
    'text_projection.weight': 'text_projection',
    'vision_model.embeddings.class_embedding': 'visual.class_embedding',
    'vision_model.embeddings.patch_embedding.weight': 'visual.conv1.weight',
    'vision_model.embeddings.position_embedding.weight': 'visual.positional_embedding',
    'visual_projection.weight': 'visual.proj',
    **{
        f'{theirs}.{tensor}': f'{ours}.{tensor}'
        for theirs, ours in (
            ('text_model.final_layer_norm', 'ln_final'),
            # Spelt so in every file.
            ('vision_model.pre_layrnorm', 'visual.ln_pre'),
            ('vision_model.post_layernorm', 'visual.ln_post'),
        )
        for tensor in ('weight', 'bias')
    },
}
_HUGGING_FACE_BLOCK = {
    'layer_norm1': 'ln_1',
    'layer_norm2': 'ln_2',
    'mlp.fc1': 'mlp.c_fc',
    'mlp.fc2': 'mlp.c_proj',
    'self_attn.out_proj': 'attn.out_proj',
}
# Stored the other way round: they multiply from the left there.
_TRANSPOSED = ('text_projection', 'visual.proj')


def to_openai_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give the tensors of Hugging Face's CLIP the names and shapes of OpenAI's.

    Args:
        state: Any tensors by name; those of other networks are left as they are.

    Raises:
        InputError: If a block of attention lacks one of its tensors.
    """
    if 'vision_model.embeddings.class_embedding' not in state:
        return dict(state)
    names = dict(_HUGGING_FACE)
    joined: dict[str, Tensor] = {}
    taken = set()
    for part, prefix in (('text', ''), ('vision', 'visual.')):
        for i in range(LAYERS):
            theirs = f'{part}_model.encoder.layers.{i}'
            ours = f'{prefix}transformer.resblocks.{i}'
            for tensor in ('weight', 'bias'):
                for word, mine in _HUGGING_FACE_BLOCK.items():
                    names[f'{theirs}.{word}.{tensor}'] = f'{ours}.{mine}.{tensor}'
                three = [f'{theirs}.self_attn.{q}_proj.{tensor}' for q in 'qkv']
                joined[f'{ours}.attn.in_proj_{tensor}'] = joined_of(state, three)
                taken.update(three)
    renamed = {names.get(k, k): t for k, t in state.items() if k not in taken}
    for name in _TRANSPOSED:
        if name in renamed and renamed[name].ndim == 2:
            renamed[name] = renamed[name].T.contiguous()
    return renamed | joined


def joined_of(state: Mapping[str, Tensor], names: list[str]) -> Tensor:
    """Join the tensors of query, key and value.

    Raises:
        InputError: If one is missing, or of another shape than the others.
    """
    missing = [name for name in names if name not in state]
    if missing:
        raise InputError(f'{missing[0]} is missing')
    parts = [state[name] for name in names]
    kinds = {(part.shape, part.dtype) for part in parts}
    if len(kinds) > 1 or not parts[0].ndim:
        raise InputError(f'{names[0]} and its key and value are of different shapes')
    return torch.cat(parts)


def to_our_axes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Give class token and positions the leading axes that ours have; float32.

    OpenAI's file has most tensors in float16.

    Args:
        state: Tensors by our name.
    """
    axes = {
        'backbone.cls_token': (1, 1, -1),
        'backbone.pos_embed': (1, -1, IMAGE_WIDTH),
    }
    whole = {key: tensor.float() for key, tensor in state.items()}
    return {k: t.reshape(axes[k]) if k in axes else t for k, t in whole.items()}
