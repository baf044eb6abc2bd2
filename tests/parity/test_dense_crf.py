"""Dense CRF of the released codes, from recorded scores."""

import numpy as np
import pytest

from wsss_mm.functional.dense_crf import (
    CRF_PARAMETERS,
    dense_crf,
    dense_crf_all,
    label_unary,
    soft_unary,
)

pytest.importorskip('pydensecrf', reason='pip install -r requirements/crf.txt')


@pytest.mark.parametrize('alpha', [4, 24])
def test_of_affinitynet(golden, alpha):
    recorded = golden(f'psa_crf_alpha{alpha}')
    unary = soft_unary(recorded['probs'])
    found = dense_crf(recorded['img'], unary, CRF_PARAMETERS['soft'])
    np.testing.assert_allclose(found, recorded['Q'], rtol=1e-4, atol=1e-5)
    assert (found.argmax(axis=0) == recorded['argmax']).all()


def test_of_irn(golden):
    recorded = golden('irn_crf_label')
    count = int(recorded['labels'].max()) + 1
    unary = label_unary(recorded['labels'], count)
    for key, name in (('out', 'label'), ('out_t1', 'label1')):
        found = dense_crf(recorded['img'], unary, CRF_PARAMETERS[name])
        assert (found.argmax(axis=0) == recorded[key]).mean() > 0.999, key


def test_of_seam_with_two_alphas_on_one_lattice(golden):
    recorded = golden('e2e_seam_infer')
    cam = recorded['cam']
    background = 1 - cam.max(axis=0, keepdims=True)
    alphas = (4, 24)
    unaries = [soft_unary(np.concatenate([background**a, cam])) for a in alphas]
    found = dense_crf_all(recorded['image'], unaries, CRF_PARAMETERS['soft'])
    for alpha, probabilities in zip(alphas, found):
        expected = recorded[f'crf_{alpha}']
        np.testing.assert_allclose(probabilities, expected, rtol=1e-4, atol=1e-5)
