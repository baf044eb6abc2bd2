"""`wsss new --method clip_es`: words, weights, and masks by a tiny CLIP."""

import numpy as np
import pytest
import torch
from PIL import Image

from wsss_mm.apis.generate import generate_cams
from wsss_mm.apis.new import new_project
from wsss_mm.cli.main import main
from wsss_mm.io.cam_file import load_cam
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer
from wsss_mm.models.text.word_features import WordFeatures
from wsss_mm.utils.errors import InputError
from wsss_mm.workflow.clip_project import read_words, usual_background
from wsss_mm.workflow.launch import load_config
from wsss_mm.workflow.method import default_chain, segmenter_config

TEXT = dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)
WORDS = """\
# what we sell
shirt: t-shirt, blouse

background: wall, floor
"""


@pytest.fixture
def photos(tmp_path, monkeypatch):
    """Photographs with two tags, words for one, and a tiny CLIP where it belongs."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / 'shelf'
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in 'abc':
        pixels = rng.integers(0, 255, (64, 90, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f'{name}.jpg')
    lines = 'image,labels\na,shirt\nb,shirt polo_neck\nc,polo_neck\n'
    (tmp_path / 'tags.csv').write_text(lines)
    (tmp_path / 'words.txt').write_text(WORDS)
    parts = {
        'backbone': CLIPVisionTransformer(embed_dims=24, num_layers=3, num_heads=3),
        'last_block': CLIPLastBlock(embed_dims=24, num_heads=3, output_dims=8),
        'text_encoder': WordFeatures(encoder=TEXT).build(),
    }
    generator = torch.Generator().manual_seed(0)
    state = {
        f'{part}.{name}': torch.randn(tensor.shape, generator=generator) * 0.3
        for part, module in parts.items()
        for name, tensor in module.state_dict().items()
    }
    path = tmp_path / 'data/weights/clip_vit_b16.pth'
    path.parent.mkdir(parents=True)
    torch.save({'state_dict': state, 'meta': {}}, path)
    return folder


def start(photos, **more):
    return new_project(photos, tags='tags.csv', method='clip_es', **more)


def test_masks_from_a_project(photos):
    project = start(photos, words='words.txt')
    cfg = load_config(str(project.config))
    head = cfg.model.decode_head
    assert dict(head.words) == {'shirt': ['t-shirt', 'blouse']}
    assert head.background_words == ['wall', 'floor']
    assert head.num_classes == 3
    weights = str((photos.parent / 'data/weights/clip_vit_b16.pth').resolve())
    for part in (cfg.model.backbone.init_cfg, head.init_cfg, head.text):
        assert part.checkpoint == weights
    assert segmenter_config(project.config) == project.segmenter
    assert default_chain(project.config, cfg) in ('clip_es_crf', 'par')
    tiny = {
        'model.backbone.embed_dims': 24,
        'model.backbone.num_heads': 3,
        'model.backbone.num_layers': 3,
        'model.backbone.attention_layers': 2,
        'model.backbone.out_indices': (2,),
        'model.decode_head.embed_dims': 24,
        'model.decode_head.num_heads': 3,
        'model.decode_head.output_dims': 8,
        'model.decode_head.attention_layers': 3,
        'model.decode_head.text.encoder': TEXT,
        'val_dataloader.num_workers': 0,
        'val_dataloader.persistent_workers': False,
        'test_dataloader.num_workers': 0,
        'test_dataloader.persistent_workers': False,
    }
    done = generate_cams(project.config, out='out', options=tiny)
    assert done.images == 3
    keys, maps = load_cam('out/cams/b.npz')
    assert keys.tolist() == [0, 1]
    assert maps.shape == (2, 64, 90)
    with Image.open('out/masks/a.png') as mask:
        assert mask.size == (90, 64)


def test_a_class_without_words_goes_by_its_name(photos):
    head = load_config(str(start(photos).config)).model.decode_head
    assert dict(head.words) == {}
    assert 'wall' in head.background_words


def test_words_of_a_class_are_not_of_the_background():
    every = usual_background(('shoe',), {})
    assert 'person' in every
    assert 'grass' in every
    few = usual_background(('Person', 'shoe'), {'shoe': ('grass',)})
    assert set(every) - set(few) == {'person', 'grass'}


def test_the_command(photos, capsys):
    options = ('--method', 'clip_es', '--words', 'words.txt', '--out', 'p')
    main(['new', str(photos), '--tags', 'tags.csv', *options])
    said = capsys.readouterr().out
    for line in (
        'words: shirt (t-shirt, blouse); background: wall, floor',
        'training: none for the CAMs',
        'segmenter: ',
    ):
        assert line in said
    # Its background is not one that is chosen from CAMs.
    assert said.rstrip().endswith('now: wsss run p/shelf.py')
    assert 'photographs only' not in said


@pytest.mark.parametrize(
    'text, message',
    [
        ('shirt t-shirt', r"words\.txt:1: 'shirt t-shirt'; write a class, a colon"),
        ('\nshirt: ,', r'words\.txt:2: '),
        ('shirt: a\nshirt: b', r"words\.txt:2: 'shirt' has words already"),
        ('trousers: jeans', r"words\.txt: words are given for 'trousers', but"),
    ],
)
def test_words_of_no_use_are_refused(photos, text, message):
    (photos.parent / 'words.txt').write_text(text)
    with pytest.raises(InputError, match=message):
        start(photos, words='words.txt')
    assert not (photos.parent / 'shelf_project').exists()


def test_words_are_read_as_they_are_written(photos):
    (photos.parent / 'words.txt').write_bytes(
        '\ufeffHemd:  weißes Hemd ,Bluse\r\n'.encode()
    )
    assert read_words('words.txt') == {'Hemd': ('weißes Hemd', 'Bluse')}
    (photos.parent / 'words.txt').write_bytes(b'a: \xff')
    for path in ('words.txt', 'none.txt'):
        with pytest.raises(InputError, match=f'{path}: cannot be read'):
            read_words(path)


def test_weights_that_are_missing_or_others_are_refused(photos):
    with pytest.raises(InputError, match=r'mine\.pth: no such file.*SHA-256'):
        start(photos, weights='mine.pth')
    torch.save({'backbone.cls_token': torch.zeros(1)}, 'other.pth')
    with pytest.raises(InputError, match=r'other\.pth: not the weights of CLIP'):
        start(photos, weights='other.pth')


def test_other_methods_read_no_words(photos):
    with pytest.raises(InputError, match='words are for clip_es'):
        new_project(photos, tags='tags.csv', words='words.txt')
    with pytest.raises(InputError, match='one of cam, clip_es'):
        new_project(photos, tags='tags.csv', method='seam')
