"""Released files of CLIP in every layout become the weights that meet the goldens."""

import json
import re
import struct

import pytest
import torch
from torch import nn

from wsss_mm.convert.clip_names import LAYERS
from wsss_mm.convert.released_file import convert_released
from wsss_mm.utils.errors import InputError


class Holder(nn.Module):
    """A module of a released archive: it holds tensors and other modules."""

    def forward(self, x):
        return x


def scripted(state):
    """Put tensors into nested modules by their names, and script them."""
    whole = Holder()
    for name, tensor in state.items():
        *path, last = name.split('.')
        module = whole
        for part in path:
            if part not in module._modules:
                module.add_module(part, Holder())
            module = module._modules[part]
        if tensor.is_floating_point():
            module.register_parameter(last, nn.Parameter(tensor, requires_grad=False))
        else:
            module.register_buffer(last, tensor)
    return torch.jit.script(whole)


def hugging_face(state):
    """OpenAI's tensors as Hugging Face's CLIPModel names and shapes them."""
    renamed = {
        'text_model.embeddings.position_ids': torch.arange(77)[None],
        'vision_model.embeddings.position_ids': torch.arange(197)[None],
    }
    simple = {
        'logit_scale': 'logit_scale',
        'token_embedding.weight': 'text_model.embeddings.token_embedding.weight',
        'positional_embedding': 'text_model.embeddings.position_embedding.weight',
        'visual.class_embedding': 'vision_model.embeddings.class_embedding',
        'visual.conv1.weight': 'vision_model.embeddings.patch_embedding.weight',
        'visual.positional_embedding': (
            'vision_model.embeddings.position_embedding.weight'
        ),
    }
    parts = {
        **{'ln_1': 'layer_norm1', 'ln_2': 'layer_norm2', 'mlp.c_fc': 'mlp.fc1'},
        **{'mlp.c_proj': 'mlp.fc2', 'attn.out_proj': 'self_attn.out_proj'},
    }
    norms = {
        'ln_final': 'text_model.final_layer_norm',
        'visual.ln_pre': 'vision_model.pre_layrnorm',
        'visual.ln_post': 'vision_model.post_layernorm',
    }
    for name, tensor in state.items():
        found = re.fullmatch(r'(visual\.)?transformer\.resblocks\.(\d+)\.(.+)', name)
        owner, _, kind = name.rpartition('.')
        if name in simple:
            renamed[simple[name]] = tensor
        elif name == 'text_projection':
            renamed['text_projection.weight'] = tensor.T.contiguous()
        elif name == 'visual.proj':
            renamed['visual_projection.weight'] = tensor.T.contiguous()
        elif owner in norms:
            renamed[f'{norms[owner]}.{kind}'] = tensor
        else:
            part = 'vision' if found[1] else 'text'
            layer = f'{part}_model.encoder.layers.{found[2]}'
            inner, _, kind = found[3].rpartition('.')
            if 'in_proj' in found[3]:
                kind = found[3].removeprefix('attn.in_proj_')
                for word, third in zip('qkv', tensor.chunk(3)):
                    renamed[f'{layer}.self_attn.{word}_proj.{kind}'] = third.clone()
            else:
                renamed[f'{layer}.{parts[inner]}.{kind}'] = tensor
    return renamed


def write_safetensors(state, path):
    names = {torch.float32: 'F32', torch.int64: 'I64'}
    header, at = {}, 0
    for name, tensor in state.items():
        header[name] = dict(
            dtype=names[tensor.dtype],
            shape=list(tensor.shape),
            data_offsets=[at, at + tensor.nbytes],
        )
        at += tensor.nbytes
    text = json.dumps(header).encode()
    with open(path, 'wb') as file:
        file.write(struct.pack('<Q', len(text)) + text)
        for tensor in state.values():
            file.write(tensor.contiguous().numpy().tobytes())


@pytest.fixture(scope='module')
def released(reference_clip):
    return reference_clip.openai_state()


SIZES = {
    'input_resolution': torch.tensor(224),
    'context_length': torch.tensor(77),
    'vocab_size': torch.tensor(49408),
}


def write_openai(state, path):
    scripted({**state, **SIZES}).save(str(path))


def write_open_clip(state, path):
    masked = {**state, 'attn_mask': torch.zeros(77, 77)}
    torch.save({'state_dict': {f'module.{k}': v for k, v in masked.items()}}, path)


def write_hugging_face(state, path):
    torch.save(hugging_face(state), path)


def write_hugging_face_safetensors(state, path):
    write_safetensors(hugging_face(state), path)


@pytest.mark.parametrize(
    'write',
    [
        *(write_openai, write_open_clip, write_safetensors),
        *(write_hugging_face, write_hugging_face_safetensors),
    ],
)
def test_every_layout(write, released, reference_clip, converted):
    found = converted(lambda path: write(released, path))
    wanted = reference_clip.our_state(released)
    assert found.keys() == wanted.keys()
    for name, tensor in wanted.items():
        assert torch.equal(found[name], tensor), name


def test_half_precision_becomes_single(released, tmp_path):
    half = {k: t.half() if t.ndim > 1 else t for k, t in released.items()}
    write_openai(half, tmp_path / 'ViT-B-16.pt')
    done = convert_released(tmp_path / 'ViT-B-16.pt')
    assert done.layout == 'clip_vit_b16'
    assert {tensor.dtype for tensor in done.state.values()} == {torch.float32}
    assert len(done.state) == len(released) == 302
    values = released['visual.proj'].half().float()
    assert torch.equal(done.state['last_block.proj'], values)


def test_another_size_is_refused(released, tmp_path):
    small = dict(released, **{'visual.proj': torch.zeros(768, 640)})
    torch.save(small, tmp_path / 'other.pt')
    with pytest.raises(InputError, match=r'visual\.proj has shape \(768, 640\)'):
        convert_released(tmp_path / 'other.pt')


def test_a_missing_part_is_named(released, tmp_path):
    there = hugging_face(released)
    name = f'vision_model.encoder.layers.{LAYERS - 1}.self_attn.k_proj.bias'
    del there[name]
    torch.save(there, tmp_path / 'pytorch_model.bin')
    with pytest.raises(InputError, match=f'{name} is missing'):
        convert_released(tmp_path / 'pytorch_model.bin')
