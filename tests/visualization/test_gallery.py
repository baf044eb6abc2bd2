import numpy as np
import pytest
from PIL import Image

from wsss_mm.io.cam_file import save_cam
from wsss_mm.io.mask_file import save_mask
from wsss_mm.visualization import ImageFiles, draw_image, key_colours, look_at
from wsss_mm.visualization.gallery import (
    describe_cam,
    describe_mask,
    image_iou,
    mask_remarks,
    score_margin,
)

CLASSES = ('background', 'bottle', 'box', 'tin')


@pytest.fixture
def files(tmp_path):
    Image.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(tmp_path / 'a.png')
    cam = np.zeros((2, 20, 30), np.float32)
    cam[0, :5, :5] = 0.875
    save_cam(tmp_path / 'a.npz', [0, 2], cam)
    raw, refined, truth = (np.zeros((20, 30), np.uint8) for _ in range(3))
    raw[:5, :5] = 1
    refined[:10, :10] = 1
    truth[:10, :10], truth[10:, :15] = 1, 2
    palette = [[i, i, i] for i in range(4)]
    for name, mask in dict(raw=raw, refined=refined, truth=truth).items():
        save_mask(tmp_path / f'{name}.png', mask, palette)
    return ImageFiles(
        name='a',
        image=tmp_path / 'a.png',
        tags=(0, 2),
        cams={'CAM': tmp_path / 'a.npz'},
        masks={'raw': tmp_path / 'raw.png', 'refined': tmp_path / 'refined.png'},
        truth=tmp_path / 'truth.png',
    )


def test_an_image_is_judged_by_its_last_mask(files):
    seen = look_at(files, CLASSES, threshold=0.3)
    # Background 350 / 500, bottle 100 / 100, box 0 / 150; tin occurs nowhere.
    assert seen.miou == pytest.approx(100 * (350 / 500 + 1 + 0) / 3)
    assert seen.margin == pytest.approx((25 * 0.575 + 575 * 0.3) / 600)
    assert seen.classes == (0,)
    assert seen.remarks == (
        ('missing', 'raw: no tin, though tagged'),
        ('missing', 'refined: no tin, though tagged'),
    )


def test_layers_name_what_they_show(files):
    seen = look_at(files, CLASSES)
    drawn = draw_image(
        files, seen, classes=CLASSES, colours=key_colours(4), threshold=0.3
    )
    assert {layer.caption: layer.text for layer in drawn.layers} == {
        'image': 'Photograph a, tagged bottle, tin',
        'CAM of bottle': 'a, CAM of bottle: strongest, 0.88, at the upper left; '
        '4 % of the image above 0.30',
        'CAM of tin': 'a, CAM of tin: strongest, 0.00, at the upper left; '
        '0 % of the image above 0.30',
        'raw': 'a, raw: background 96 %, bottle 4 %',
        'refined': 'a, refined: background 83 %, bottle 17 %',
        'truth': 'a, truth: background 58 %, box 25 %, bottle 17 %',
    }
    assert [layer.png is None for layer in drawn.layers] == [True] + 5 * [False]


def test_without_masks_or_tags_little_is_said(files, tmp_path):
    bare = ImageFiles(name='a', image=files.image)
    seen = look_at(bare, CLASSES)
    assert (seen.miou, seen.margin, seen.classes, seen.remarks) == (None, None, (), ())


@pytest.mark.parametrize(
    'shares, tags, kinds',
    [
        ([1, 0, 0, 0], (0,), ['empty']),
        ([1, 0, 0, 0], (), []),
        ([1, 0, 0, 0], None, ['empty']),
        ([0.02, 0.98, 0, 0], (0,), ['full']),
        ([0.5, 0.5, 0, 0], (0, 1), ['missing']),
        ([0.5, 0.4, 0.1, 0], (0,), ['untagged']),
        ([0.5, 0.495, 0.005, 0], (0,), []),  # a speck
        ([0.5, 0, 0.5, 0], (0,), ['missing', 'untagged']),
        ([0.5, 0, 0.5, 0], None, []),
    ],
)
def test_remarks(shares, tags, kinds):
    found = mask_remarks(np.array(shares), tags, CLASSES, caption='m')
    assert [kind for kind, _ in found] == kinds


def test_undecided_and_ignored_pixels_do_not_count():
    mask = np.array([[1, 255, 0, 0]], np.uint8)
    truth = np.array([[1, 2, 255, 0]], np.uint8)
    assert image_iou(mask, truth, 3) == 100
    assert image_iou(mask, truth[:, :3], 3) is None
    assert image_iou(np.full((1, 1), 255, np.uint8), np.zeros((1, 1), np.uint8), 3) is (
        None
    )


def test_a_margin_is_between_the_two_best_scores():
    cams = np.array([[[0.9, 0.1]], [[0.7, 0.0]]])
    assert score_margin(cams, 0.3) == pytest.approx((0.2 + 0.2) / 2)
    assert score_margin(cams[:0], 0.3) == 1


def test_words():
    mask = np.array([[0, 0, 0, 2]], np.uint8)
    assert describe_mask(mask, CLASSES) == 'background 75 %, box 25 %'
    cam = np.zeros((30, 30))
    cam[15, 29] = 0.5
    assert describe_cam(cam, None) == 'strongest, 0.50, at the middle right'
