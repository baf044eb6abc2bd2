import numpy as np
import pytest
import torch

from wsss_mm.functional.background import power_background, seed_scores
from wsss_mm.functional.dense_crf import (
    crf_parameters,
    dense_crf,
    label_unary,
    soft_unary,
)

pytest.importorskip('pydensecrf', reason='needs a compiled pydensecrf')
SOFT = crf_parameters('soft')


@pytest.mark.parametrize('alpha', [4, 24])
def test_soft_scores(golden, alpha):
    ref = golden(f'psa_crf_alpha{alpha}')
    out = dense_crf(ref['img'], soft_unary(ref['probs']), SOFT)
    np.testing.assert_allclose(out, ref['Q'], rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(out.argmax(axis=0), ref['argmax'])
    background = power_background(ref['probs'][1:], alpha)
    np.testing.assert_allclose(background, ref['probs'][0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize('name, key', [('label', 'out'), ('label1', 'out_t1')])
def test_labels(golden, name, key):
    ref = golden('irn_crf_label')
    unary = label_unary(ref['labels'], 3)
    out = dense_crf(ref['img'], unary, crf_parameters(name))
    np.testing.assert_array_equal(out.argmax(axis=0), ref[key])


def test_seam_scores_for_affinity_training(golden, assert_maps):
    ref = golden('e2e_seam_infer')
    pair = seed_scores(ref['image'], ref['cam'], SOFT, low_alpha=4, high_alpha=24)
    for scores, alpha in zip(pair, (4, 24)):
        assert_maps(torch.from_numpy(scores), ref[f'crf_{alpha}'])
