"""ResNet-38 with AffinityNet's classifier against its recorded outputs."""

import pytest
import torch
from torch import nn

from wsss_mm.models.backbones.resnet38d import ResNet38d


class Classifier(nn.Module):
    """The network of AffinityNet's first stage, from our parts."""

    def __init__(self):
        super().__init__()
        self.backbone = ResNet38d()
        self.decode_head = nn.Module()
        self.decode_head.classifier = nn.Conv2d(4096, 20, 1, bias=False)


@pytest.fixture(scope='module')
def model(reference_weights):
    return reference_weights.load_filled(
        Classifier(), 'resnet38_psa_cls', rule='a', classes=20
    ).eval()


def test_scores_and_cam(model, reference_weights, golden, assert_maps):
    recorded = golden('net_psa_resnet38_cls_72x96')
    with torch.no_grad():
        conv6 = model.backbone(reference_weights.network_input(1, 72, 96))[-1]
        cam = model.decode_head.classifier(conv6)
    assert_maps(cam.mean(dim=(2, 3)), recorded['logit'])
    assert_maps(cam.relu(), recorded['cam'])
