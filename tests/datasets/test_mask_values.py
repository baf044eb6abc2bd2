import numpy as np
import pytest

from wsss_mm.datasets.mask_values import classes_drawn_as_ignored, count_values

CLASSES = ('background', 'cat', 'dog')


def suspect(*pixels, expected=None):
    values = count_values(np.array([pixels], np.uint8))
    return classes_drawn_as_ignored(values, CLASSES, expected=expected)


def test_values_are_counted():
    values = count_values(np.array([[0, 0], [255, 7]], np.uint8))
    assert values.shape == (256,)
    assert {index: values[index] for index in (0, 7, 255)} == {0: 2, 7: 1, 255: 1}


def test_masks_of_0_and_255():
    text, none = suspect(0, 255)
    assert none
    assert '2 of 2 classes are in no mask (cat, dog), while 50% of' in text


def test_one_class_drawn_as_255():
    text, none = suspect(0, 1, 255)
    assert not none
    assert '1 of 2 classes are in no mask (dog)' in text


@pytest.mark.parametrize(
    'pixels',
    [(0, 1, 2, 255), (0, 0, 1), (0,), [0] * 100 + [255], ()],
)
def test_masks_in_order(pixels):
    assert suspect(*pixels) == ('', False)


def test_classes_that_no_image_is_tagged_with_are_not_missed():
    assert suspect(0, 1, 255, expected={'cat'}) == ('', False)
    assert '(dog)' in suspect(0, 1, 255, expected={'cat', 'dog'})[0]
