"""CLIP-ES on a tiny CLIP, from its config to masks: weights, words, resuming."""

import numpy as np
import pytest
import torch
from PIL import Image

from wsss_mm import CAMInferencer, InputError, generate_cams, refine_masks, run_method
from wsss_mm.datasets.synth_voc import write_synth_voc
from wsss_mm.io.cam_file import load_cam
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer
from wsss_mm.models.text.word_features import WordFeatures

TEXT = dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)
CONFIG = """
_base_ = '{root}/configs/clip_es/clip_es_vitb16_voc.py'
dataset_type = 'SynthVOCDataset'
images = dict(
    type=dataset_type,
    data_root='data',
    tags='image_labels.csv',
    tag_source='file',
)
tiny = dict(embed_dims=24, num_heads=3, init_cfg=dict(checkpoint='clip.pth'))
model = dict(
    backbone=dict(
        num_layers=3, out_indices=(2,), attention_layers=2, **tiny
    ),
    decode_head=dict(
        num_classes=9,
        output_dims=8,
        attention_layers=3,
        full_boxes=True,  # maps of 4 x 4 cells are often strong at the border alone
        words=dict(ring=['ring', 'circle'], _delete_=True),
        text=dict(checkpoint='clip.pth', encoder={text}, cache_dir='words'),
        **tiny,
    ),
)
train_dataloader = dict(dataset=images)
val_dataloader = dict(num_workers=0, persistent_workers=False, dataset=images)
test_dataloader = dict(num_workers=0, persistent_workers=False, dataset=images)
"""
SEGMENTER = """
_base_ = '{root}/configs/cam/cam_r18_synth_deeplabv2.py'
model = dict(
    backbone=dict(stem_channels=4, base_channels=4, init_cfg=None),
    decode_head=dict(in_channels=32),
)
images = dict(data_root='data')
train_dataloader = dict(num_workers=0, batch_size=2, dataset=images)
train_cfg = dict(max_iters=2, val_interval=2)
test_dataloader = dict(num_workers=0, dataset=images)
val_dataloader = dict(num_workers=0, dataset=images)
"""


def write_weights(path, seed):
    """One file with the three parts of a tiny CLIP, as ``wsss convert`` names them."""
    parts = {
        'backbone': CLIPVisionTransformer(embed_dims=24, num_layers=3, num_heads=3),
        'last_block': CLIPLastBlock(embed_dims=24, num_heads=3, output_dims=8),
        'text_encoder': WordFeatures(encoder=TEXT).build(),
    }
    generator = torch.Generator().manual_seed(seed)
    state = {
        f'{part}.{name}': torch.randn(tensor.shape, generator=generator) * 0.3
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    torch.save({'state_dict': state, 'meta': {}}, path)


@pytest.fixture
def here(root, tmp_path, monkeypatch):
    write_synth_voc(tmp_path / 'data', train=3, val=1, size=64)
    (tmp_path / 'es.py').write_text(CONFIG.format(root=root, text=TEXT))
    (tmp_path / 'es_deeplabv2.py').write_text(SEGMENTER.format(root=root))
    write_weights(tmp_path / 'clip.pth', 0)
    monkeypatch.setenv('PYTHONPATH', str(root))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_from_tags_to_a_segmenter(here):
    pytest.importorskip('pydensecrf')
    result = run_method('es.py', work_dir='work', workers=0)
    assert list(result['seconds']) == [
        *('gen_pseudo', 'eval_cam', 'eval_pseudo_mask', 'refine_clip_es_crf'),
        *('train_segmenter', 'test_segmenter'),
    ]
    files = sorted((here / 'work/cams').glob('*.npz'))
    assert len(files) == len(list((here / 'work/masks_clip_es_crf').glob('*.png'))) == 4
    for file in files:
        classes, cams = load_cam(file)
        assert 0 <= cams.min() < 0.1
        assert cams.max() <= 1
        mask = np.array(Image.open(here / f'work/masks/{file.stem}.png'))
        assert cams.shape == (len(classes), *mask.shape)
        assert set(np.unique(mask)) <= {0, *(classes + 1)}
    assert any(load_cam(file)[1].max() > 0.5 for file in files)
    # Words are kept for the other stages, and nothing is done twice.
    assert len(list((here / 'words').glob('*.npz'))) == 1
    stamp = files[0].stat().st_mtime_ns
    run_method('es.py', work_dir='work', workers=0)
    assert files[0].stat().st_mtime_ns == stamp


def test_cams_are_resumed_and_bound_to_their_weights(here):
    made = generate_cams('es.py', out='out')
    wanted = {file.name: file.read_bytes() for file in made.cams.glob('*.npz')}
    gone = next(made.cams.glob('*.npz'))
    gone.unlink()
    generate_cams('es.py', out='out')
    assert {file.name: file.read_bytes() for file in made.cams.glob('*')} == wanted
    write_weights(here / 'clip.pth', 1)
    with pytest.raises(InputError, match='other settings'):
        generate_cams('es.py', out='out')
    generate_cams('es.py', out='out', overwrite=True)
    assert gone.read_bytes() != wanted[gone.name]


def test_a_picture(here):
    inferencer = CAMInferencer('es.py')
    image = next((here / 'data/JPEGImages').glob('*.jpg'))
    (result,) = inferencer(image, tags=['ring'])
    assert result.classes == ('ring',)
    assert 0 <= result.cams.min() <= result.cams.max() <= 1
    assert sum(result.tag_scores.values()) < 1


def test_missing_weights_say_how_to_get_them(here, root):
    (here / 'clip.pth').unlink()
    with pytest.raises(InputError, match=r'clip\.pth: no such file, but the network'):
        generate_cams('es.py', out='out')
    with pytest.raises(InputError, match=r'clip\.pth: no such file'):
        run_method('es.py', work_dir='work')
    with pytest.raises(InputError, match=r'clip\.pth: no such file'):
        CAMInferencer('es.py')
    shipped = str(root / 'configs/clip_es/clip_es_vitb16_voc.py')
    with pytest.raises(InputError) as caught:
        generate_cams(shipped, out='out')
    message = str(caught.value)
    assert 'wsss convert ViT-B-16.pt data/weights/clip_vit_b16.pth' in message
    assert 'about 350 MB' in message
    assert '5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f' in message


def test_weights_of_another_network_are_refused(here):
    torch.save({'last_block.proj': torch.ones(24, 8)}, here / 'clip.pth')
    with pytest.raises(InputError, match=r'clip\.pth: \d+ of \d+ tensors of backbone'):
        generate_cams('es.py', out='out')


def test_its_masks_are_refined_like_any_others(here):
    generate_cams('es.py', out='out')
    refine_masks('es.py', out='out', chain='pamr')
    assert len(list((here / 'out/masks_pamr').glob('*.png'))) == 4
