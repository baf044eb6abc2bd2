import pytest
import torch
from mmengine.config import Config
from mmseg.structures import SegDataSample
from torch.testing import assert_close

from wsss_mm.datasets.transforms import NormalizeFloat
from wsss_mm.models.data_preprocessors import EquivariantViews, View
from wsss_mm.registry import MODELS


def build(**settings):
    return MODELS.build(
        dict(
            type='EquivariantViews',
            preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
            **settings,
        )
    )


def batch(images):
    samples = [SegDataSample(metainfo=dict(img_shape=i.shape[1:])) for i in images]
    return dict(inputs=list(images), data_samples=samples)


@pytest.fixture
def images():
    return torch.rand(2, 3, 20, 30, generator=torch.Generator().manual_seed(0))


def test_training_gives_the_batch_and_its_transform(images):
    views = build(scale=0.3)(batch(images), True)['inputs']
    assert list(views) == ['full', 'transformed']
    assert all(isinstance(view, View) for view in views.values())
    assert torch.equal(views['full'].image, images)
    expected = torch.nn.functional.interpolate(
        images, (6, 9), mode='bilinear', align_corners=True
    )
    assert_close(views['transformed'].image, expected)
    cam = torch.rand(2, 5, 20, 30)
    assert views['full'].on_cam(cam) is cam


def test_the_released_scale_is_the_default(images):
    assert build()(batch(images), True)['inputs']['transformed'].image.shape[-2:] == (
        6,
        9,
    )


@pytest.mark.parametrize(
    'options',
    [
        dict(),
        dict(flip=True),
        dict(max_angle=30.0),
        dict(max_translate=0.4),
        dict(flip=True, max_angle=20.0, max_translate=0.2),
    ],
)
def test_a_cam_moves_with_its_image(images, options):
    module = build(scale=0.5, **options)
    for seed in range(4):
        torch.manual_seed(seed)
        views = module(batch(images), True)['inputs']
        assert torch.equal(
            views['transformed'].on_cam(images), views['transformed'].image
        )


def test_a_mirror_is_drawn_half_of_the_time(images):
    module = build(scale=1.0, flip=True)
    torch.manual_seed(0)
    seen = 0
    for _ in range(60):
        image = module(batch(images), True)['inputs']['transformed'].image
        flipped = torch.equal(image, images.flip(-1))
        assert flipped or torch.equal(image, images)
        seen += flipped
    assert 15 < seen < 45


def test_rotation_and_shift_stay_within_their_bounds():
    module = build(max_angle=15.0, max_translate=0.25)
    torch.manual_seed(0)
    drawn = [module.draw() for _ in range(300)]
    angles = torch.tensor([t.angle for t in drawn])
    shifts = torch.tensor([t.translate for t in drawn])
    assert angles.abs().max() <= 15
    assert shifts.abs().max() <= 0.25
    # The whole range is used, either way, and the two shifts are independent.
    assert angles.min() < -12
    assert angles.max() > 12
    assert (shifts.min(dim=0).values < -0.2).all()
    assert (shifts.max(dim=0).values > 0.2).all()
    assert not torch.equal(shifts[:, 0], shifts[:, 1])
    assert not any(t.flip for t in drawn)


def test_one_transform_for_the_whole_batch(images):
    module = build(scale=0.5, flip=True, max_angle=30.0, max_translate=0.2)
    same = torch.stack([images[0], images[0]])
    torch.manual_seed(3)
    image = module(batch(same), True)['inputs']['transformed'].image
    assert torch.equal(image[0], image[1])


def test_the_seed_decides(images):
    module = build(flip=True, max_angle=30.0, max_translate=0.2)
    drawn = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        drawn.append(module.draw())
    assert drawn[0] == drawn[1] != drawn[2]


def test_rescaling_alone_draws_nothing(images):
    module = build()
    torch.manual_seed(0)
    before = torch.get_rng_state()
    module(batch(images), True)
    assert torch.equal(torch.get_rng_state(), before)


def test_testing_passes_through(images):
    module = build(flip=True, max_angle=30.0)
    found = module(batch(images), False)
    assert torch.equal(found['inputs'], module.preprocessor(batch(images))['inputs'])


def test_the_wrapped_preprocessor_normalises_first(images):
    module = build()
    module.preprocessor = MODELS.build(
        dict(type='SegDataPreProcessor', size_divisor=1, mean=[1, 2, 3], std=[4, 5, 6])
    )
    views = module(batch(images), True)['inputs']
    mean = torch.tensor([1.0, 2, 3])[:, None, None]
    std = torch.tensor([4.0, 5, 6])[:, None, None]
    assert_close(views['full'].image, (images - mean) / std)


@pytest.mark.parametrize(
    'options',
    [dict(max_angle=-1.0), dict(max_translate=1.0), dict(max_translate=-0.1)],
)
def test_impossible_bounds_are_refused(options):
    (value,) = options.values()
    with pytest.raises(ValueError, match=str(value)):
        EquivariantViews(dict(type='SegDataPreProcessor'), **options)


@pytest.mark.parametrize('name', ['cam_mbv2', 'seam_mbv2', 'deeplabv2_mbv2'])
def test_mobilenet_gets_the_colours_it_was_trained_on(root, name):
    config = Config.fromfile(root / f'configs/_base_/models/{name}.py')
    preprocessor = MODELS.build(config.model.data_preprocessor)
    raw = torch.randint(0, 256, (9, 7, 3), dtype=torch.uint8).numpy()
    loaded = NormalizeFloat().transform(dict(img=raw))['img']
    item = batch(torch.from_numpy(loaded).permute(2, 0, 1)[None])
    found = preprocessor(item, False)['inputs'][0]
    expected = (torch.from_numpy(raw).permute(2, 0, 1).float() - 128) / 128
    assert_close(found, expected, atol=1e-5, rtol=0)


def puzzle(**settings):
    plain = dict(type='SegDataPreProcessor', size_divisor=1)
    return MODELS.build({'type': 'PuzzleViews', 'preprocessor': plain, **settings})


def test_pieces_of_a_batch(images):
    views = puzzle()(batch(images), True)['inputs']
    assert list(views) == ['full', 'tiles']
    assert torch.equal(views['full'].image, images)
    assert views['tiles'].image.shape == (8, 3, 10, 15)
    # The second piece of the first image is its upper right quarter.
    assert torch.equal(views['tiles'].image[2], images[0, :, :10, 15:])
    cam = torch.rand(2, 5, 4, 6)
    assert torch.equal(views['tiles'].on_cam(cam)[5], cam[1, :, 2:, :3])


def test_nine_pieces():
    images = torch.rand(1, 3, 18, 27)
    views = puzzle(pieces=9)(batch(images), True)['inputs']
    assert torch.equal(views['tiles'].image[5], images[0, :, 6:12, 18:])


def test_pieces_beside_a_transform(images):
    both = puzzle(
        preprocessor=dict(
            type='EquivariantViews',
            preprocessor=dict(type='SegDataPreProcessor', size_divisor=1),
        )
    )
    views = both(batch(images), True)['inputs']
    assert list(views) == ['full', 'transformed', 'tiles']
    assert views['tiles'].image.shape == (8, 3, 10, 15)


def test_no_pieces_in_testing(images):
    assert torch.equal(puzzle()(batch(images), False)['inputs'], images)


def test_a_number_of_pieces_that_is_no_square():
    with pytest.raises(ValueError, match='square number such as 4 or 9, got 6'):
        puzzle(pieces=6)


@pytest.mark.parametrize(
    ('backbone', 'index'),
    [
        (dict(type='ResNet', depth=18, stem_channels=4, base_channels=4), -1),
        (
            dict(
                type='ResNet',
                depth=18,
                stem_channels=4,
                base_channels=4,
                strides=(1, 2, 1, 1),
            ),
            -1,
        ),
        (dict(type='mmseg.MobileNetV2', widen_factor=0.1, out_indices=(4, 6)), -1),
        (dict(type='TinyBackbone'), 0),
    ],
    ids=['stride 32', 'stride 8', 'MobileNet', 'stride 2'],
)
@pytest.mark.parametrize('size', [(448, 448), (97, 130), (64, 81)])
@pytest.mark.parametrize('scale', [0.3, 0.5, 0.77, 1.0])
def test_a_cam_in_cells_fits_the_other_views_features(backbone, index, size, scale):
    network = MODELS.build(backbone)
    network.eval()
    views = build(scale=scale)(batch(torch.rand(1, 3, *size)), True)['inputs']
    with torch.no_grad():
        cells = {name: network(view.image)[index] for name, view in views.items()}
    moved = views['transformed'].on_cam(cells['full'])
    assert moved.shape == cells['transformed'].shape


def test_the_released_crop_in_cells_and_pixels():
    views = build()(batch(torch.rand(1, 3, 448, 448)), True)['inputs']
    move = views['transformed'].on_cam
    assert move(torch.rand(1, 5, 56, 56)).shape[-2:] == (17, 17)
    assert move(torch.rand(1, 5, 448, 448)).shape[-2:] == (134, 134)
    pixels = torch.rand(1, 5, 448, 448)
    expected = torch.nn.functional.interpolate(
        pixels, (134, 134), mode='bilinear', align_corners=True
    )
    assert torch.equal(move(pixels), expected)


@pytest.mark.parametrize('name', ['View', 'identity'])
def test_where_it_was_imported_from(name):
    from wsss_mm.models import structures
    from wsss_mm.models.data_preprocessors import views

    assert getattr(views, name) is getattr(structures, name)
