import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode

from wsss_mm.functional import pixel_correlation

BLOCKS = [None, 1, 5, 12, 100]


def by_pixel(cam, embedding, eps=1e-5):
    """The definition, one pair of pixels at a time."""
    out = torch.zeros_like(cam)
    height, width = cam.shape[-2:]
    places = [(y, x) for y in range(height) for x in range(width)]
    for n in range(len(cam)):
        unit = {}
        for y, x in places:
            vector = embedding[n, :, y, x]
            unit[y, x] = vector / (vector.norm() + eps)
        for target in places:
            likeness = [max((unit[s] @ unit[target]).item(), 0.0) for s in places]
            for (y, x), value in zip(places, likeness):
                share = value / (sum(likeness) + eps)
                out[n, :, target[0], target[1]] += share * cam[n, :, y, x]
    return out


def dense(cam, embedding, eps=1e-5):
    """The whole matrix, with gradients by autograd."""
    pixels = embedding.flatten(2)
    unit = pixels / (pixels.norm(dim=1, keepdim=True) + eps)
    affinity = torch.relu(unit.mT @ unit)
    affinity = affinity / (affinity.sum(dim=1, keepdim=True) + eps)
    return (cam.flatten(2) @ affinity).view_as(cam)


@pytest.fixture
def maps():
    g = torch.Generator().manual_seed(0)
    return (
        torch.rand(2, 3, 3, 4, generator=g, dtype=torch.float64),
        torch.randn(2, 5, 3, 4, generator=g, dtype=torch.float64),
    )


@pytest.mark.parametrize('block', BLOCKS)
def test_golden(golden, block):
    v = {key: torch.from_numpy(array) for key, array in golden('seam_pcm').items()}
    embedding = F.conv2d(v['f'], v['f9'])
    out = pixel_correlation(v['cam'], embedding, block=block)
    assert_close(out, v['out'], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('block', BLOCKS)
def test_equals_the_definition(maps, block):
    assert_close(pixel_correlation(*maps, block=block), by_pixel(*maps))


@pytest.mark.parametrize('block', BLOCKS)
def test_gradcheck(maps, block):
    cam, embedding = (m.clone().requires_grad_() for m in maps)
    assert gradcheck(
        lambda c, e: pixel_correlation(c, e, block=block), (cam, embedding)
    )


@pytest.mark.parametrize('dtype', [torch.float32, torch.float64])
@pytest.mark.parametrize('block', [None, 7])
@pytest.mark.parametrize('needs', [(True, True), (True, False), (False, True)])
def test_gradients_equal_the_dense_ones(maps, dtype, block, needs):
    sides = []
    for function in (lambda c, e: pixel_correlation(c, e, block=block), dense):
        inputs = [m.to(dtype).requires_grad_(on) for m, on in zip(maps, needs)]
        out = function(*inputs)
        (out * torch.linspace(-1, 2, out.numel()).to(out).view_as(out)).sum().backward()
        sides.append([out.detach(), *(i.grad for i in inputs if i.requires_grad)])
        assert [i.grad is not None for i in inputs] == list(needs)
    for mine, theirs in zip(*sides):
        assert_close(mine, theirs)


def test_the_eps_of_the_norm_and_of_the_column_sum_count():
    # With eps as large as the data both divisors show.
    cam = torch.tensor([3.0, 5.0], dtype=torch.float64).view(1, 1, 1, 2)
    embedding = torch.tensor([1.0, 3.0], dtype=torch.float64).view(1, 1, 1, 2)
    u, v = 1 / (1 + 0.5), 3 / (3 + 0.5)
    expected = [
        (3 * u * u + 5 * u * v) / (u * u + u * v + 0.5),
        (3 * u * v + 5 * v * v) / (u * v + v * v + 0.5),
    ]
    out = pixel_correlation(cam, embedding, eps=0.5)
    assert out.flatten().tolist() == pytest.approx(expected, rel=1e-12)


def test_unlike_pixels_keep_their_value():
    cam = torch.rand(1, 2, 1, 3, generator=torch.Generator().manual_seed(0))
    one_hot = torch.eye(3).view(1, 3, 1, 3)
    assert_close(pixel_correlation(cam, one_hot), cam, atol=1e-4, rtol=0)


def test_opposite_pixels_do_not_mix():
    cam = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    embedding = torch.tensor([1.0, -1.0]).view(1, 1, 1, 2)
    assert_close(pixel_correlation(cam, embedding), cam, atol=1e-4, rtol=0)


def test_constant_cam_is_a_fixed_point(maps):
    cam = torch.ones_like(maps[0])
    assert_close(pixel_correlation(cam, maps[1]), cam, atol=1e-4, rtol=0)


def test_scale_of_the_embedding_does_not_matter(maps):
    cam, embedding = maps
    expected = pixel_correlation(cam, embedding)
    out = pixel_correlation(cam, 7 * embedding)
    assert_close(out, expected, atol=1e-4, rtol=0)


def test_order_of_the_pixels_does_not_matter(maps):
    order = torch.randperm(12, generator=torch.Generator().manual_seed(1))
    shuffled = [m.flatten(2)[..., order].view_as(m) for m in maps]
    expected = pixel_correlation(*maps, block=5).flatten(2)[..., order]
    assert_close(pixel_correlation(*shuffled, block=5).flatten(2), expected)


def test_samples_do_not_mix(maps):
    together = pixel_correlation(*maps)
    for n in range(2):
        alone = pixel_correlation(*(m[n : n + 1] for m in maps))
        assert_close(together[n : n + 1], alone)


def test_empty_embeddings_give_zeros_and_finite_gradients(maps):
    cam = maps[0].clone().requires_grad_()
    embedding = torch.zeros_like(maps[1], requires_grad=True)
    out = pixel_correlation(cam, embedding)
    out.sum().backward()
    assert torch.equal(out, torch.zeros_like(cam))
    assert torch.isfinite(embedding.grad).all()


def test_inputs_are_left_alone(maps):
    inputs = [m.clone().requires_grad_() for m in maps]
    pixel_correlation(*inputs, block=5).square().sum().backward()
    assert all(map(torch.equal, inputs, maps))


def test_layout_in_memory_does_not_matter(maps):
    strided = [m.to(memory_format=torch.channels_last) for m in maps]
    assert_close(pixel_correlation(*strided, block=5), pixel_correlation(*maps))


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_single(maps, dtype):
    cam, embedding = (m.to(dtype) for m in maps)
    expected = pixel_correlation(cam.float(), embedding.float())
    out = pixel_correlation(cam, embedding)
    assert out.dtype == dtype
    assert torch.equal(out, expected.to(dtype))


def test_autocast_does_not_touch_it(maps):
    inputs = [m.float().requires_grad_() for m in maps]
    expected = pixel_correlation(*inputs)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = pixel_correlation(*inputs)
        out.sum().backward()
    assert torch.equal(out, expected)


class LargestTensor(TorchDispatchMode):
    """Watch the size of everything that any operation makes."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for item in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(item, torch.Tensor):
                self.elements = max(self.elements, item.numel())
        return out


def test_no_matrix_of_all_pairs_is_formed():
    cells, block = 48 * 40, 64
    g = torch.Generator().manual_seed(0)
    cam = torch.rand(1, 3, 48, 40, generator=g, requires_grad=True)
    embedding = torch.randn(1, 8, 48, 40, generator=g, requires_grad=True)
    with LargestTensor() as watch:
        out = pixel_correlation(cam, embedding, block=block)
    # The panels of the backward pass run on the thread that calls it.
    with watch:
        torch.autograd.grad(out.sum(), (cam, embedding))
    assert watch.elements == cells * block
    # The instrument does see the matrix of the plain form.
    with LargestTensor() as watch:
        dense(cam.detach(), embedding.detach())
    assert watch.elements == cells**2


def test_default_panel_at_test_scale_is_far_below_an_eighth():
    cells = 125 * 94
    cam, embedding = torch.ones(1, 1, 125, 94), torch.ones(1, 1, 125, 94)
    with LargestTensor() as watch:
        pixel_correlation(cam, embedding)
    assert watch.elements <= cells**2 // 64


@pytest.mark.parametrize('shape', [(1, 5, 3, 4), (2, 5, 4, 4), (2, 5, 4, 3)])
def test_mismatched_shapes_are_refused(maps, shape):
    with pytest.raises(ValueError, match='must share B, H and W'):
        pixel_correlation(maps[0], torch.zeros(shape))


def test_other_inputs_are_refused(maps):
    cam, embedding = maps
    with pytest.raises(ValueError, match='must have the shapes'):
        pixel_correlation(cam.flatten(2), embedding.flatten(2))
    with pytest.raises(ValueError, match='must not be empty'):
        pixel_correlation(cam[:0], embedding[:0])
    with pytest.raises(ValueError, match='must not be empty'):
        pixel_correlation(cam, embedding[:, :0])
    with pytest.raises(ValueError, match='must be floating point'):
        pixel_correlation(cam.long(), embedding)
    with pytest.raises(ValueError, match='positive number of columns'):
        pixel_correlation(cam, embedding, block=0)
