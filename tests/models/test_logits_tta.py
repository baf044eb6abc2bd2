import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import nn

from wsss_mm.models.segmentors.logits_tta import SegLogitsTTAModel
from wsss_mm.registry import MODELS


class Answers(nn.Module):
    """A network that returns prepared samples."""

    def __init__(self, answers):
        super().__init__()
        self.answers = iter(answers)

    def test_step(self, data):
        return next(self.answers)


def make_sample(logits, **meta):
    sample = SegDataSample(
        seg_logits=PixelData(data=logits), gt_sem_seg=PixelData(data=logits[:1])
    )
    sample.set_metainfo(meta)
    return sample


def test_logits_are_averaged():
    copies = torch.randn(3, 4, 5, 6)
    tta = MODELS.build(
        dict(
            type='SegLogitsTTAModel',
            module=Answers([[make_sample(c, img_path='a.jpg')] for c in copies]),
        )
    )
    (merged,) = tta.test_step(dict(inputs=[0, 1, 2], data_samples=[0, 1, 2]))
    torch.testing.assert_close(merged.seg_logits.data, copies.mean(dim=0))
    expected = copies.mean(dim=0).argmax(dim=0, keepdim=True)
    assert torch.equal(merged.pred_sem_seg.data, expected)
    assert merged.img_path == 'a.jpg'
    assert torch.equal(merged.gt_sem_seg.data, copies[0, :1])


def test_it_differs_from_averaged_probabilities():
    confident = torch.tensor([9.0, 0.0])[:, None, None]
    doubtful = torch.tensor([0.0, 1.0])[:, None, None]
    copies = [confident, doubtful, doubtful, doubtful, doubtful]
    probabilities = torch.stack([c.softmax(dim=0) for c in copies]).mean(dim=0)
    assert probabilities.argmax(dim=0).item() == 1
    tta = SegLogitsTTAModel(Answers([]))
    (merged,) = tta.merge_preds([tuple(make_sample(c) for c in copies)])
    assert merged.pred_sem_seg.data.item() == 0


def test_the_copies_are_left_alone():
    samples = tuple(make_sample(torch.randn(3, 4, 5)) for _ in range(2))
    before = [s.seg_logits.data.clone() for s in samples]
    SegLogitsTTAModel(Answers([])).merge_preds([samples])
    assert all(torch.equal(s.seg_logits.data, b) for s, b in zip(samples, before))
    assert not any('pred_sem_seg' in s for s in samples)
