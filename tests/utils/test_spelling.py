from wsss_mm.utils.spelling import is_slip


def test_a_slip_is_a_letter_or_two():
    slips = [('refin', 'refine'), ('modle', 'model'), ('optim_wraper', 'optim_wrapper')]
    slips += [('val_evlauatr', 'val_evaluator'), ('mdel', 'model')]
    assert all(is_slip(a, b) and is_slip(b, a) for a, b in slips)
    others = [('resize', 'resume'), ('train_pipeline', 'test_pipeline'), ('a', 'a')]
    others += [('walked', 'walk'), ('crop_size', 'crf'), ('rw', 'crf')]
    assert not any(is_slip(a, b) or is_slip(b, a) for a, b in others)
