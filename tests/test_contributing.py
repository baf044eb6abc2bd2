"""The worked example of CONTRIBUTING.md runs as it stands there."""

import re

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmseg.structures import SegDataSample

import wsss_mm.models  # noqa: F401
from wsss_mm.registry import MODELS


@pytest.fixture
def example(root):
    """Its blocks of code by the comment they begin with."""
    text = (root / 'CONTRIBUTING.md').read_text()
    blocks = re.findall(r'```python\n# (\w+)\n(.*?)```', text, re.DOTALL)
    assert [name for name, _ in blocks] == ['functional', 'head', 'config']
    return dict(blocks)


def test_the_new_method_trains_and_predicts(root, example, tmp_path):
    init_default_scope('mmseg')
    names: dict = {}
    exec(example['functional'] + example['head'], names)
    try:
        folder = tmp_path / 'configs' / 'soft_max_cam'
        folder.mkdir(parents=True)
        base = example['config'].replace('..', str(root / 'configs'))
        (folder / 'soft_max_cam_r18_synth.py').write_text(base)
        cfg = Config.fromfile(folder / 'soft_max_cam_r18_synth.py')
        model = MODELS.build(cfg.model)
        sample = SegDataSample(metainfo=dict(img_path='a.jpg', ori_shape=(32, 32)))
        sample.image_labels = torch.eye(8)[2]
        data = dict(inputs=[torch.randn(3, 32, 32)], data_samples=[sample])
        losses = model(**model.data_preprocessor(data, True), mode='loss')
        model.parse_losses(losses)[0].backward()
        assert model.decode_head.classifier.weight.grad.any()
        (found,) = model.eval().test_step(data)
        assert found.cam.data.shape == (8, 32, 32)
    finally:
        MODELS.module_dict.pop('SoftMaxCAMHead')


def test_its_formula(example):
    names: dict = {}
    exec(example['functional'], names)
    pool = names['soft_max_pool']
    cam = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    mean, peak = cam.mean(dim=(2, 3)), cam.amax(dim=(2, 3))
    torch.testing.assert_close(pool(cam, 1e-6), mean, rtol=0, atol=1e-5)
    torch.testing.assert_close(pool(cam, 1e4), peak, rtol=0, atol=1e-3)
    with pytest.raises(ValueError, match='sharpness must be positive, got 0'):
        pool(cam, 0)
