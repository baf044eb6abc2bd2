"""ResNet-38 with AffinityNet's classifier against its recorded outputs."""

import torch

from wsss_mm.models.testing import predicted_maps


def test_scores_and_cam(network, reference_weights, golden, assert_maps):
    recorded = golden('net_psa_resnet38_cls_72x96')
    model = network('net_psa_resnet38_cls_72x96')
    with torch.no_grad():
        features = model.extract_feat(reference_weights.network_input(1, 72, 96))
        _, logits = predicted_maps(model.decode_head, features, (72, 96))
        assert_maps(model.decode_head(features).relu(), recorded['cam'])
    assert_maps(logits, recorded['logit'])
