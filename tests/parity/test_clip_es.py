"""CLIP-ES against its released code (golden files ``clipes_*``)."""

import pytest
import torch

from wsss_mm.functional import channel_weights, grad_cam, stretch
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.backbones.clip_vit import CLIPVisionTransformer


def close(actual, expected, atol, rtol=0):
    torch.testing.assert_close(
        actual.detach(), torch.as_tensor(expected), atol=atol, rtol=rtol
    )


@pytest.fixture(scope='module')
def backbone(clip_part):
    return clip_part(CLIPVisionTransformer(), 'backbone.')


@pytest.fixture(scope='module')
def last_block(clip_part):
    return clip_part(CLIPLastBlock(), 'last_block.')


def test_grad_cam_alone(golden):
    vector = golden('clipes_unit_gradcam')
    weights = channel_weights(torch.from_numpy(vector['grads']))
    close(weights, vector['weights'], 1e-6)
    raw = grad_cam(torch.from_numpy(vector['activations'])[0], weights)
    close(raw, vector['raw'], 1e-5)
    first = stretch(raw.relu())
    close(first, vector['norm1'], 1e-6)
    close(stretch(first.relu()), vector['norm2'], 1e-6)
    zero = stretch(torch.zeros_like(raw))
    close(zero, vector['norm_of_zero_map'], 0)


def test_grad_cam_of_an_image(golden, backbone, last_block):
    vector = golden('clipes_cam_75x100')
    image = torch.from_numpy(golden('clip_image_75x100')['input'])[None]
    output = backbone(image)
    patches = output.maps[-1].flatten(2).transpose(1, 2)[0]
    tokens = torch.cat([output.class_tokens[-1], patches])
    words = torch.from_numpy(vector['text_features'])
    found = last_block.word_cams(tokens, words, count=2, size=(5, 7))
    close(found.probabilities, vector['softmax'], 1e-5)
    scale = abs(vector['cam_raw']).max()
    close(found.maps / scale, vector['cam_raw'] / scale, 1e-4)
    maps = stretch(found.maps.relu())
    close(maps, vector['cam_norm1'], 1e-4)
    close(stretch(maps.relu()), vector['cam'], 1e-4)
    attention = golden('clip_image_75x100')['attn'][11]
    close(found.attention, attention, 1e-5)


@pytest.fixture(scope='module')
def network(root, clip_file):
    """The shipped network for VOC, with the golden weights."""
    from mmengine.config import Config

    import wsss_mm.models  # noqa: F401
    from wsss_mm.datasets import VOCImageLabelDataset
    from wsss_mm.registry import MODELS
    from wsss_mm.workflow.weights import load_start_weights

    cfg = Config.fromfile(root / 'configs/clip_es/clip_es_vitb16_voc.py')
    for part in (cfg.model.backbone, cfg.model.decode_head):
        part.init_cfg.checkpoint = str(clip_file)
    cfg.model.decode_head.text = dict(checkpoint=str(clip_file))
    model = MODELS.build(cfg.model)
    load_start_weights(model)
    model.dataset_meta = VOCImageLabelDataset.METAINFO
    return model.eval()


@pytest.fixture(scope='module')
def sample(golden):
    """The image of the golden vectors with its tags."""
    from mmseg.structures import SegDataSample

    vector = golden('clipes_cam_75x100')
    sample = SegDataSample(metainfo=dict(img_path='x.jpg', ori_shape=(75, 100)))
    labels = torch.zeros(20)
    labels[vector['keys']] = 1
    sample.image_labels = labels
    # The reference has tags in the order of the file, ours are ascending.
    return sample, vector['keys'].argsort()


def test_the_whole_method(golden, network, sample):
    tagged, order = sample
    image = torch.from_numpy(golden('clip_image_75x100')['input'])[None]
    vector = golden('clipes_caa_75x100')
    with torch.no_grad():
        (view,) = network.predict_views(image, [tagged])
        (done,) = network.predict(image, [tagged.clone()])
    # What is in the file is the product, not yet stretched.
    refined = stretch(torch.from_numpy(vector['refined']))
    close(view.cam, refined[order], 1e-4)
    assert view.classes.tolist() == sorted(vector['keys'].tolist())
    close(done.cam.maps, vector['refined_highres'][order], 1e-4)
    logits = golden('clip_image_75x100')['logits_all45']
    every = torch.from_numpy(logits).softmax(0)[:20]
    close(done.tag_scores, every, 1e-4)


def test_the_pipeline_makes_the_input(golden, root):
    import numpy as np
    from mmcv.transforms import Compose
    from mmengine.config import Config

    import wsss_mm.datasets  # noqa: F401

    cfg = Config.fromfile(root / 'configs/clip_es/clip_es_vitb16_voc.py')
    steps = cfg.test_dataloader.dataset.pipeline[1:4]
    vector = golden('clip_image_75x100')
    bgr = np.ascontiguousarray(vector['image'][..., ::-1])
    done = Compose(steps)(dict(img=bgr, img_shape=(75, 100), ori_shape=(75, 100)))
    close(torch.from_numpy(done['img']).permute(2, 0, 1), vector['input'], 1e-5)


def test_words_of_the_config(golden, network):
    words = golden('clip_text')
    from wsss_mm.models.structures import Context

    context = Context(features={}, views={}, class_names=network.class_names)
    classes, background = network.decode_head.word_features(context)
    close(classes, words['fg_text_features'], 1e-5)
    close(background, words['bg_text_features'], 1e-5)


def test_refinement_alone(golden, network):
    vector = golden('clipes_unit_caa_4x5')
    attention = [torch.from_numpy(one) for one in vector['attn']]
    cam = torch.from_numpy(vector['cam'])
    refined = network.decode_head.refine(cam, attention)
    close(refined, stretch(torch.from_numpy(vector['refined'])), 1e-5)
    large = network.decode_head.to_image(refined, (64, 80), (61, 75))
    close(large, vector['refined_up'], 1e-5)


@pytest.fixture(scope='module')
def crf_seed(golden, root):
    import numpy as np

    from wsss_mm.refinement import Seed

    pytest.importorskip('pydensecrf')
    vector = golden('clipes_crf_75x100')
    order = vector['keys'].argsort()
    maps = vector['prob_f32'][1:][order]
    scores = np.concatenate([np.zeros((1, 75, 100), np.float32), maps])
    return vector, Seed(vector['image'], vector['keys'][order].astype(np.int64), scores)


def chain_of(root, name):
    from mmengine.config import Config

    from wsss_mm.apis.refine import chain_steps
    from wsss_mm.refinement import build_chain

    cfg = Config.fromfile(root / 'configs/clip_es/clip_es_vitb16_voc.py')
    return build_chain({name: chain_steps(cfg, name)}, name)


def test_masks_from_plain_colours(crf_seed, root):
    from wsss_mm.refinement import refine, seed_mask

    vector, seed = crf_seed
    keys = vector['keys']
    done = refine(seed, chain_of(root, 'clip_es_crf'))
    # Channels are the background and the tags in the file's order there.
    order = [0, *(1 + keys.argsort())]
    close(torch.from_numpy(done.scores), vector['q_rgb_f32'][order], 1e-3)
    mask = seed_mask(done)
    assert (mask != vector['pseudo_mask_rgb_f32']).mean() < 1e-3
    assert 0.01 < (mask == 255).mean() < 0.04
    whole = seed_mask(refine(seed, chain_of(root, 'crf')))
    assert (whole != vector['label_rgb_f32']).mean() < 1e-3


def test_masks_from_the_references_wrapped_colours(crf_seed, root):
    # Its CRF sees BGR minus a mean, wrapped around 256, and scores of float16.
    import numpy as np

    from wsss_mm.functional import crf_parameters, dense_crf

    vector, seed = crf_seed
    mean = np.array([104.008, 116.669, 122.675], np.float32)
    shifted = vector['image'][..., ::-1].astype(np.float32) - mean
    wrapped = np.trunc(shifted).astype(np.int64).astype(np.uint8)
    np.testing.assert_array_equal(wrapped, vector['crf_image'])
    half = vector['crf_prob']
    unary = -np.log(np.clip(half, np.float16(1e-5), np.float16(1)))
    found = dense_crf(
        np.ascontiguousarray(wrapped),
        unary.astype(np.float32),
        crf_parameters('clip_es'),
    )
    labels = np.concatenate([[0], vector['keys'] + 1])[found.argmax(0)]
    assert (labels != vector['label']).mean() < 1e-3
    ours = np.concatenate([[0], seed.classes + 1])
    assert set(labels.ravel().tolist()) <= set(ours.tolist())
    unsure = np.where(found.max(0) < 0.95, 255, labels)
    assert (unsure != vector['pseudo_mask']).mean() < 1e-3
