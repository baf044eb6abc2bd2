"""Words of classes and their features."""

import numpy as np
import pytest
import torch

from wsss_mm.models.text.class_words import checked_templates, words_of_classes
from wsss_mm.models.text.word_features import WordFeatures
from wsss_mm.utils.errors import InputError

TINY = dict(embed_dims=16, num_layers=1, num_heads=2, output_dims=8)


@pytest.fixture
def counted(monkeypatch):
    """Count how often a text encoder is built, and the words it sees."""
    from mmseg.models.text_encoder.clip_text_encoder import CLIPTextEncoder

    seen = []
    encode = CLIPTextEncoder.template_encode

    def count(self, vocabulary):
        seen.append(list(vocabulary))
        return encode(self, vocabulary)

    monkeypatch.setattr(CLIPTextEncoder, 'template_encode', count)
    return seen


def features(**more):
    return WordFeatures(encoder=TINY, **more)


def test_words_of_classes():
    names = ('shirt', 'polo_neck', 'bird')
    given = dict(shirt=['t-shirt', 'blouse'], bird='bird avian')
    assert words_of_classes(names, given) == [
        *[('t-shirt', 'blouse'), ('polo neck',), ('bird avian',)]
    ]
    assert words_of_classes(names) == [('shirt',), ('polo neck',), ('bird',)]


@pytest.mark.parametrize(
    'words, message',
    [
        (dict(shrit='x'), "words are given for 'shrit', but the classes are shirt"),
        (dict(shirt=[]), "words of 'shirt'"),
        (dict(shirt=['a', '']), 'one word or a list'),
        (dict(shirt=[3]), 'one word or a list'),
    ],
)
def test_words_that_cannot_be_used(words, message):
    with pytest.raises(InputError, match=message):
        words_of_classes(('shirt', 'shoe'), words)


@pytest.mark.parametrize('templates', [(), ['no place'], ['{} {}'], ['{} {x}'], [3]])
def test_templates_that_cannot_be_used(templates):
    with pytest.raises(InputError, match='template'):
        checked_templates(templates)


def test_several_words_are_one_direction():
    text = features(templates=['a {}.', 'the {}.'])
    both, first, second = text([('cat', 'dog'), ('cat',), ('dog',)])
    torch.testing.assert_close(both.norm(), torch.tensor(1.0))
    mean = first + second
    torch.testing.assert_close(both, mean / mean.norm())
    assert not torch.allclose(first, second)


def test_templates_are_averaged():
    both = features(templates=['a {}.', 'the {}.'])([('cat',)])[0]
    one, other = (features(templates=[t])([('cat',)])[0] for t in ('a {}.', 'the {}.'))
    mean = one + other
    torch.testing.assert_close(both, mean / mean.norm())


def test_a_word_that_nobody_knows_is_a_word():
    found = features()([('qxzzvb',), ('Größe 42',), ('日本',)])
    assert found.isfinite().all()
    torch.testing.assert_close(found.norm(dim=-1), torch.ones(3))


def test_too_long_a_prompt_is_refused():
    with pytest.raises(InputError, match='more than 77 tokens'):
        features()([('word ' * 80,)])
    # 77 with the ends, and "a photo of a" and "."
    features()([('word ' * 70,)])


def test_a_word_is_computed_once(counted):
    text = features()
    text([('cat',), ('dog',)])
    text([('dog',), ('cat', 'cow')])
    text([('cow',)])
    assert counted == [['cat', 'dog'], ['cow']]


def test_words_are_kept_for_other_processes(counted, tmp_path):
    first = features(cache_dir=str(tmp_path))([('cat',), ('dog',)])
    again = features(cache_dir=str(tmp_path))([('dog',), ('cat',)])
    assert torch.equal(first, again.flip(0))
    assert counted == [['cat', 'dog']]
    # Other templates are another file.
    features(cache_dir=str(tmp_path), templates=['{}'])([('cat',)])
    assert counted == [['cat', 'dog'], ['cat']]
    assert len(list(tmp_path.glob('*.npz'))) == 2


def text_file(path, seed):
    """Weights of a tiny text encoder, as ``wsss convert`` names them."""
    torch.manual_seed(seed)
    state = features().build().state_dict()
    state = {f'text_encoder.{k}': torch.randn_like(v) for k, v in state.items()}
    torch.save({'state_dict': state}, path)
    return str(path)


def test_other_weights_are_other_features(counted, tmp_path):
    options = dict(cache_dir=str(tmp_path / 'kept'))
    one = features(checkpoint=text_file(tmp_path / 'a.pth', 1), **options)([('cat',)])
    two = features(checkpoint=text_file(tmp_path / 'b.pth', 2), **options)([('cat',)])
    assert not torch.allclose(one, two)
    assert len(counted) == 2


def test_a_damaged_file_of_kept_words_is_made_anew(counted, tmp_path):
    wanted = features(cache_dir=str(tmp_path))([('cat',)])
    (kept,) = tmp_path.glob('*.npz')
    for content in (b'nothing', kept.read_bytes()[:100]):
        kept.write_bytes(content)
        assert torch.equal(features(cache_dir=str(tmp_path))([('cat',)]), wanted)
    np.savez(kept, words=np.array(['cat', 'dog']), features=np.zeros((1, 8)))
    assert torch.equal(features(cache_dir=str(tmp_path))([('cat',)]), wanted)
    assert len(counted) == 4


def test_weights_of_something_else_are_refused(tmp_path):
    with pytest.raises(InputError, match=r'none\.pth: no such checkpoint'):
        features(checkpoint=str(tmp_path / 'none.pth'))([('cat',)])
    torch.save({'x': torch.ones(1)}, tmp_path / 'x.pth')
    with pytest.raises(InputError, match=r'no text encoder of CLIP.*wsss convert'):
        features(checkpoint=str(tmp_path / 'x.pth'))([('cat',)])
