import math

import pytest
import torch
import torch.nn.functional as F
from torch.autograd import gradcheck
from torch.testing import assert_close

from wsss_mm.functional import (
    EquivariantTransform,
    cells_of_view,
    equivariance_loss,
    equivariant_cross_loss,
    mask_absent,
    max_onehot,
    min_pool_loss,
    tag_loss,
    training_min_max_norm,
    with_background,
)


def draw(*shape, seed=0):
    g = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=g, dtype=torch.float64)


def only(**kwargs):
    return EquivariantTransform(scale=1.0, **kwargs)


# --- the transform


def resize_by_pixel(image, size):
    """Bilinear with aligned corners, one output pixel at a time."""
    height, width = image.shape
    out = torch.zeros(size, dtype=image.dtype)
    for i in range(size[0]):
        for j in range(size[1]):
            y = i * (height - 1) / (size[0] - 1)
            x = j * (width - 1) / (size[1] - 1)
            y0, x0 = min(int(y), height - 2), min(int(x), width - 2)
            fy, fx = y - y0, x - x0
            for dy, wy in ((0, 1 - fy), (1, fy)):
                for dx, wx in ((0, 1 - fx), (1, fx)):
                    out[i, j] += wy * wx * image[y0 + dy, x0 + dx]
    return out


def move_by_pixel(image, *, flip, angle, translate):
    """Flip, then rotate, then shift, in pixels around the centre."""
    height, width = image.shape
    out = torch.zeros_like(image)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    cy, cx = (height - 1) / 2, (width - 1) / 2
    for i in range(height):
        for j in range(width):
            y = i - cy - translate[0] * height
            x = j - cx - translate[1] * width
            # Undo a counter-clockwise turn; y points down.
            x, y = cos * x - sin * y, sin * x + cos * y
            x = -x if flip else x
            y, x = y + cy, x + cx
            y0, x0 = math.floor(y), math.floor(x)
            for yy, wy in ((y0, 1 - (y - y0)), (y0 + 1, y - y0)):
                for xx, wx in ((x0, 1 - (x - x0)), (x0 + 1, x - x0)):
                    if 0 <= yy < height and 0 <= xx < width:
                        out[i, j] += wy * wx * image[yy, xx]
    return out


def test_the_default_rescales_as_the_definition():
    maps = draw(2, 3, 14, 17)
    out = EquivariantTransform()(maps)
    assert out.shape == (2, 3, 4, 5)
    for n in range(2):
        for c in range(3):
            assert_close(out[n, c], resize_by_pixel(maps[n, c], (4, 5)))


@pytest.mark.parametrize('side, expected', [(448, 134), (20, 6), (134, 40), (10, 3)])
def test_sizes_are_rounded_down(side, expected):
    out = EquivariantTransform()(torch.zeros(1, 1, side, side))
    assert out.shape == (1, 1, expected, expected)


@pytest.mark.parametrize(
    'how',
    [
        dict(flip=False, angle=30.0, translate=(0.0, 0.0)),
        dict(flip=False, angle=0.0, translate=(0.25, -0.1)),
        dict(flip=True, angle=-20.0, translate=(0.1, 0.2)),
        dict(flip=True, angle=0.0, translate=(0.5, 0.0)),
    ],
    ids=lambda how: '-'.join(f'{key}={value}' for key, value in how.items()),
)
def test_flip_rotation_and_shift_equal_the_definition(how):
    maps = draw(2, 2, 6, 9)
    out = only(**how)(maps)
    for n in range(2):
        for c in range(2):
            expected = move_by_pixel(maps[n, c], **how)
            assert_close(out[n, c], expected, atol=1e-9, rtol=0)


def test_a_quarter_turn_is_exact_and_counter_clockwise():
    maps = draw(1, 2, 5, 5)
    expected = torch.rot90(maps, 1, dims=(2, 3))
    assert_close(only(angle=90.0)(maps), expected, atol=1e-9, rtol=0)


def test_a_shift_goes_down_and_right_and_leaves_zeros():
    maps = draw(1, 1, 4, 8)
    out = only(translate=(0.25, 0.5))(maps)
    assert_close(out[..., 1:, 4:], maps[..., :-1, :4], atol=1e-9, rtol=0)
    assert_close(out[..., :1, :], torch.zeros(1, 1, 1, 8).double(), atol=1e-9, rtol=0)


def test_flip_mirrors_exactly():
    maps = draw(1, 2, 4, 5)
    assert torch.equal(only(flip=True)(maps), maps.flip(-1))


def test_flip_is_the_same_alone_and_in_the_affine_map():
    maps = draw(1, 2, 4, 5)
    assert_close(only(flip=True, angle=360.0)(maps), maps.flip(-1))


def test_rescaling_comes_first():
    maps = draw(1, 1, 20, 20)
    both = EquivariantTransform(scale=0.5, angle=30.0, translate=(0.1, 0.0))
    small = EquivariantTransform(scale=0.5)(maps)
    assert_close(both(maps), only(angle=30.0, translate=(0.1, 0.0))(small))


@pytest.mark.parametrize(
    'transform',
    [
        EquivariantTransform(),
        EquivariantTransform(scale=0.5, flip=True, angle=17.0, translate=(0.1, 0.2)),
    ],
)
def test_an_image_and_its_cam_move_alike(transform):
    # A CAM that is a pixel-wise linear function of its image stays one.
    image, weights = draw(2, 3, 12, 10), draw(4, 3, seed=1)
    cam = torch.einsum('kc,bchw->bkhw', weights, image)
    expected = torch.einsum('kc,bchw->bkhw', weights, transform(image))
    assert_close(transform(cam), expected)


def test_no_transform_returns_the_batch():
    maps = draw(1, 1, 3, 3)
    assert only()(maps) is maps


def test_the_transform_leaves_its_input_alone_and_passes_gradients():
    transform = EquivariantTransform(scale=0.5, flip=True, angle=10.0)
    maps = draw(1, 2, 6, 6)
    copy = maps.clone()
    assert gradcheck(transform, (maps.requires_grad_(),))
    assert torch.equal(maps, copy)


@pytest.mark.parametrize(
    'bad, message',
    [
        (dict(scale=0.0), 'scale must be a positive'),
        (dict(scale=math.nan), 'scale must be a positive'),
        (dict(angle=math.inf), 'angle must be a finite'),
        (dict(translate=(0.1,)), 'two finite fractions'),
        (dict(translate=(0.1, math.nan)), 'two finite fractions'),
    ],
)
def test_impossible_transforms_are_refused(bad, message):
    with pytest.raises(ValueError, match=message):
        EquivariantTransform(**bad)


def test_unfit_batches_are_refused():
    with pytest.raises(ValueError, match='floating point batch'):
        EquivariantTransform()(torch.zeros(1, 3, 10, 10, dtype=torch.uint8))
    with pytest.raises(ValueError, match='floating point batch'):
        EquivariantTransform()(torch.zeros(3, 10, 10))
    with pytest.raises(ValueError, match='too small for scale'):
        EquivariantTransform()(torch.zeros(1, 3, 3, 40))


# --- the losses on the reference's numbers


def test_every_loss_term_golden(golden):
    v = {key: torch.from_numpy(a) for key, a in golden('seam_losses').items()}
    shrink, labels = EquivariantTransform(), v['label']
    foreground = labels[:, 1:]

    def scores(cam):
        return cam.mean(dim=(2, 3))[:, 1:]

    def present(cam):
        return with_background(mask_absent(cam[:, 1:], foreground))

    cam1, cam2 = (
        shrink(training_min_max_norm(v['cam1'])),
        training_min_max_norm(v['cam2']),
    )
    refined1 = mask_absent(shrink(training_min_max_norm(v['cam_rv1'])), labels)
    refined2 = mask_absent(training_min_max_norm(v['cam_rv2']), labels)
    terms = {
        'loss_cls1': tag_loss(scores(v['cam1']), foreground),
        'loss_cls2': tag_loss(scores(v['cam2']), foreground),
        'loss_rvmin1': min_pool_loss(mask_absent(v['cam_rv1'], labels)[:, 1:]),
        'loss_rvmin2': min_pool_loss(mask_absent(v['cam_rv2'], labels)[:, 1:]),
        'loss_er': equivariance_loss(
            mask_absent(cam1[:, 1:], foreground), mask_absent(cam2[:, 1:], foreground)
        ),
        'loss_ecr1': equivariant_cross_loss(refined1, present(cam2)),
        'loss_ecr2': equivariant_cross_loss(refined2, present(cam1)),
    }
    for name, term in terms.items():
        assert_close(term, v[name], rtol=1e-4, atol=1e-7, msg=name)
    total = (
        (terms['loss_cls1'] + terms['loss_cls2']) / 2
        + (terms['loss_rvmin1'] + terms['loss_rvmin2']) / 2
        + terms['loss_er']
        + terms['loss_ecr1']
        + terms['loss_ecr2']
    )
    assert_close(total, v['total'], rtol=1e-4, atol=0)


def test_max_onehot_golden(golden):
    vectors = golden('seam_max_onehot')
    out = max_onehot(torch.from_numpy(vectors['x']))
    assert torch.equal(out, torch.from_numpy(vectors['y']))


def test_min_pool_golden(golden):
    vectors = golden('seam_min_pool')
    out = min_pool_loss(torch.from_numpy(vectors['x']))
    assert_close(out, torch.from_numpy(vectors['loss']), rtol=1e-4, atol=0)


# --- equivariance_loss


def test_equivariance_loss_equals_the_definition():
    a, b = draw(2, 3, 2, 2), draw(2, 3, 2, 2, seed=1)
    pairs = list(zip(a.flatten().tolist(), b.flatten().tolist()))
    expected = sum(abs(x - y) for x, y in pairs) / len(pairs)
    assert equivariance_loss(a, b).item() == pytest.approx(expected, rel=1e-12)


def test_equivariance_loss_teaches_both_views():
    a, b = draw(1, 2, 3, 3).requires_grad_(), draw(1, 2, 3, 3, seed=1).requires_grad_()
    assert gradcheck(equivariance_loss, (a, b))
    equivariance_loss(a, b).backward()
    assert torch.equal(a.grad, -b.grad)
    assert (a.grad.abs() == 1 / 18).all()


def test_equivariance_loss_refuses_two_sizes():
    with pytest.raises(ValueError, match='share one non-empty shape'):
        equivariance_loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 1, 3, 3))


# --- equivariant_cross_loss


def cross_loss_by_entry(refined, target, ratio):
    kept = []
    batch, channels, height, width = refined.shape
    for n in range(batch):
        differences = []
        for y in range(height):
            for x in range(width):
                best = max(target[n, c, y, x].item() for c in range(1, channels))
                for c in range(channels):
                    value = target[n, c, y, x].item()
                    if c > 0 and value != best:
                        value = 0.0
                    differences.append(abs(value - refined[n, c, y, x].item()))
        differences.sort(reverse=True)
        kept += differences[: int(len(differences) * ratio)]
    return sum(kept) / len(kept)


@pytest.mark.parametrize('ratio', [0.2, 0.5, 1.0])
def test_cross_loss_equals_the_definition(ratio):
    refined, target = draw(2, 3, 3, 4), draw(2, 3, 3, 4, seed=1)
    out = equivariant_cross_loss(refined, target, ratio=ratio)
    expected = cross_loss_by_entry(refined, target, ratio)
    assert out.item() == pytest.approx(expected, rel=1e-12)


def test_cross_loss_takes_its_share_of_every_sample():
    # Were the largest entries taken over the batch, sample 1 would not count.
    target = torch.zeros(2, 2, 1, 5)
    refined = torch.stack([torch.full((2, 1, 5), 8.0), torch.full((2, 1, 5), 2.0)])
    assert equivariant_cross_loss(refined, target).item() == 5.0


def test_cross_loss_with_ratio_one_is_the_plain_l1():
    refined, target = draw(2, 3, 3, 4), draw(2, 3, 3, 4, seed=1)
    out = equivariant_cross_loss(refined, target, ratio=1.0)
    assert_close(out, F.l1_loss(refined, max_onehot(target)))


def test_cross_loss_teaches_only_the_refined_cam():
    refined = draw(1, 3, 4, 5).requires_grad_()
    target = draw(1, 3, 4, 5, seed=1).requires_grad_()
    equivariant_cross_loss(refined, target).backward()
    assert target.grad is None
    # 12 of 60 entries, each with the slope of a mean over 12.
    slopes = refined.grad.abs()
    assert (slopes > 0).sum() == 12
    assert_close(slopes.sum(), torch.tensor(1.0, dtype=torch.float64))


def test_cross_loss_gradcheck():
    target = draw(2, 3, 3, 4, seed=1)
    refined = draw(2, 3, 3, 4).requires_grad_()
    assert gradcheck(lambda x: equivariant_cross_loss(x, target), (refined,))


def test_the_published_number_of_entries_at_the_published_size():
    refined = torch.zeros(1, 21, 134, 134, requires_grad=True)
    equivariant_cross_loss(refined, torch.ones(1, 21, 134, 134)).backward()
    assert (refined.grad != 0).sum() == 75415


@pytest.mark.parametrize('ratio', [0.0, -0.1, 1.1, math.nan])
def test_cross_loss_refuses_an_impossible_ratio(ratio):
    maps = torch.zeros(1, 2, 3, 3)
    with pytest.raises(ValueError, match=r'ratio must be in \(0, 1\]'):
        equivariant_cross_loss(maps, maps, ratio=ratio)


def test_cross_loss_refuses_unfit_maps():
    with pytest.raises(ValueError, match='share one non-empty shape'):
        equivariant_cross_loss(torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 4))
    with pytest.raises(ValueError, match='keeps none of the 2 entries'):
        equivariant_cross_loss(torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1))


# --- max_onehot


def test_max_onehot_keeps_ties_and_background():
    cam = torch.tensor([0.9, 0.5, 0.5, 0.4]).view(1, 4, 1, 1)
    assert max_onehot(cam).flatten().tolist() == pytest.approx([0.9, 0.5, 0.5, 0.0])


def test_max_onehot_with_negative_winners():
    cam = torch.tensor([0.0, -1.0, -2.0]).view(1, 3, 1, 1)
    assert max_onehot(cam).flatten().tolist() == [0.0, -1.0, 0.0]


def test_max_onehot_needs_foreground():
    with pytest.raises(ValueError, match='at least one foreground channel'):
        max_onehot(torch.zeros(1, 1, 2, 2))


# --- min_pool_loss


def min_pool_by_pixel(cam):
    batch, channels, height, width = cam.shape
    kept = height * width // 4
    total = 0.0
    for n in range(batch):
        strongest = sorted(
            max(cam[n, c, y, x].item() for c in range(channels))
            for y in range(height)
            for x in range(width)
        )
        total += sum(max(value, 0.0) for value in strongest[:kept])
    return total / (kept * batch)


@pytest.mark.parametrize('shift', [0.0, -0.6, 1.0])
def test_min_pool_equals_the_definition(shift):
    cam = draw(2, 3, 5, 7) + shift
    expected = min_pool_by_pixel(cam)
    assert min_pool_loss(cam).item() == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_min_pool_teaches_only_the_weakest_quarter():
    cam = draw(2, 3, 4, 5).requires_grad_()
    assert gradcheck(min_pool_loss, (cam,))
    min_pool_loss(cam).backward()
    assert (cam.grad > 0).sum() == 2 * 5
    strongest = cam.detach().amax(dim=1).flatten(1)
    reached = cam.grad.sum(dim=1).flatten(1) > 0
    for values, hit in zip(strongest, reached):
        assert values[hit].max() < values[~hit].min()


@pytest.mark.parametrize('shape', [(1, 2, 1, 3), (2, 3, 3), (1, 0, 4, 4)])
def test_min_pool_refuses_too_few_pixels(shape):
    with pytest.raises(ValueError, match='at least four'):
        min_pool_loss(torch.zeros(shape))


# --- all of them


@pytest.mark.parametrize(
    'function',
    [
        lambda a, b: equivariance_loss(a, b),
        lambda a, b: equivariant_cross_loss(a, b),
        lambda a, b: max_onehot(a),
        lambda a, b: min_pool_loss(a),
    ],
    ids=['equivariance_loss', 'equivariant_cross_loss', 'max_onehot', 'min_pool_loss'],
)
def test_inputs_are_left_alone(function):
    maps = draw(2, 3, 4, 4), draw(2, 3, 4, 4, seed=1)
    copies = [m.clone() for m in maps]
    function(*maps)
    assert all(map(torch.equal, maps, copies))


@pytest.mark.parametrize('ratio', [0.2, 0.6, 1.0])
def test_absent_channels_count_without_being_there(ratio):
    g = torch.Generator().manual_seed(3)
    first, second = torch.rand(2, 2, 3, 5, 4, generator=g, dtype=torch.float64)
    padded = [F.pad(m, (0, 0, 0, 0, 0, 4)) for m in (first, second)]
    assert_close(equivariance_loss(first, second, absent=4), equivariance_loss(*padded))
    assert_close(
        equivariant_cross_loss(first, second, ratio=ratio, absent=4),
        equivariant_cross_loss(*padded, ratio=ratio),
    )


# --- cells


@pytest.mark.parametrize('times', [0, 1, 2, 3, 4, 5])
def test_cells_of_networks_that_halve(times):
    def halve(side):
        for _ in range(times):
            side = (side - 1) // 2 + 1
        return side

    for full in range(33, 200, 3):
        for view in (full // 3, full // 2, full, 2 * full):
            assert cells_of_view(halve(full), full, view) == halve(view)


@pytest.mark.parametrize('patch', [7, 14, 16])
def test_cells_of_networks_that_cut_patches(patch):
    for full in range(4 * patch, 30 * patch, patch):
        view = full // 2 // patch * patch
        assert cells_of_view(full // patch, full, view) == view // patch


def test_patches_that_leave_a_rest():
    assert cells_of_view(6, 100, 60) == 3
    assert cells_of_view(6, 100, 8) == 1


@pytest.mark.parametrize(
    ('cells', 'full', 'view'), [(0, 8, 4), (9, 8, 4), (3, 8, 0), (7, 10, 5)]
)
def test_impossible_cells(cells, full, view):
    with pytest.raises(ValueError, match='cells'):
        cells_of_view(cells, full, view)


def test_another_size_than_the_pixels():
    maps = draw(1, 2, 56, 16)
    found = EquivariantTransform()(maps, size=(17, 5))
    for c in range(2):
        assert_close(found[0, c], resize_by_pixel(maps[0, c], (17, 5)))


def test_the_size_of_an_image():
    assert EquivariantTransform().size((448, 100)) == (134, 30)
    with pytest.raises(ValueError, match='too small for scale'):
        EquivariantTransform().size((3, 448))
