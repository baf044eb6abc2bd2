import numpy as np
import pytest
import torch

from wsss_mm.functional import cam_to_mask, present_masks

INF = float('inf')


@pytest.mark.parametrize('threshold', [0.0, 0.3, 0.31, 2.0])
@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
def test_it_is_the_mask_of_each_image(threshold, dtype):
    rng = np.random.default_rng(0)
    # Few values, so that classes tie with one another and with the threshold.
    maps = torch.from_numpy(rng.integers(-1, 7, (4, 3, 9, 8)) / 10).to(dtype)
    classes = torch.tensor([[0, 3, 7], [1, 2, 253], [5, 6, 7], [0, 1, 2]])
    found = present_masks(maps, classes, threshold=threshold)
    assert found.dtype == torch.int64
    for mask, one, indices in zip(found, maps, classes):
        expected = cam_to_mask(one.numpy(), indices.numpy(), threshold=threshold)
        assert np.array_equal(mask, expected)


def test_images_with_fewer_classes():
    maps = torch.tensor([[[[0.5, 0.1]], [[0.4, 0.9]]], [[[0.6, 0.1]], [[-INF, -INF]]]])
    found = present_masks(maps, torch.tensor([[2, 4], [7, 0]]), threshold=0.3)
    assert found.tolist() == [[[3, 5]], [[8, 0]]]


def test_no_class_is_all_background():
    found = present_masks(torch.zeros(2, 0, 3, 4), torch.zeros(2, 0), threshold=0.0)
    assert found.shape == (2, 3, 4)
    assert not found.any()


def test_arguments_are_left_alone():
    maps, classes = torch.rand(1, 2, 3, 3), torch.tensor([[0, 1]])
    before = maps.clone(), classes.clone()
    present_masks(maps, classes, threshold=0.2)
    assert torch.equal(maps, before[0])
    assert torch.equal(classes, before[1])


@pytest.mark.parametrize('threshold', [-0.1, float('nan'), INF])
def test_an_impossible_threshold(threshold):
    with pytest.raises(ValueError, match='threshold must be a number >= 0'):
        present_masks(torch.rand(1, 1, 2, 2), torch.tensor([[0]]), threshold=threshold)


def test_other_shapes():
    with pytest.raises(ValueError, match=r'\(B, n, H, W\) and classes \(B, n\)'):
        present_masks(torch.rand(1, 2, 2, 2), torch.tensor([[0]]), threshold=0.1)
    with pytest.raises(ValueError, match=r'\(B, n, H, W\) and classes \(B, n\)'):
        present_masks(torch.rand(2, 2, 2), torch.tensor([0, 1]), threshold=0.1)
