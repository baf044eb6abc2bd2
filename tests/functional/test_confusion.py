import numpy as np
import pytest

from wsss_mm.functional import (
    cam_to_mask,
    confusion_counts,
    iou_report,
    threshold_curve,
    threshold_histogram,
)

CLASSES = 5
THRESHOLDS = [i / 100 for i in range(60)]


@pytest.fixture
def masks():
    rng = np.random.default_rng(0)
    pred = rng.integers(0, CLASSES, size=(9, 11)).astype(np.uint8)
    gt = rng.integers(0, CLASSES, size=(9, 11)).astype(np.uint8)
    gt[rng.random(gt.shape) < 0.2] = 255
    return pred, gt


def reference_counters(pred, gt, num_classes):
    """The counters of SEAM's evaluation, pixel by pixel: P, T and TP."""
    found, true, hit = ([0] * num_classes for _ in range(3))
    for p, g in zip(pred.flatten().tolist(), gt.flatten().tolist()):
        if g == 255:
            continue
        found[p] += 1
        true[g] += 1
        hit[g] += p == g
    return found, true, hit


# --- confusion_counts


def test_counts_equal_the_definition(masks):
    pred, gt = masks
    expected = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    for p, g in zip(pred.flatten(), gt.flatten()):
        if g != 255:
            expected[g, p] += 1
    out = confusion_counts(pred, gt, CLASSES)
    assert out.dtype == np.int64
    np.testing.assert_array_equal(out, expected)


def test_ignored_pixels_count_nowhere_whatever_is_predicted(masks):
    pred, gt = masks
    other = np.where(gt == 255, 200, pred)
    np.testing.assert_array_equal(
        confusion_counts(other, gt, CLASSES), confusion_counts(pred, gt, CLASSES)
    )
    assert confusion_counts(pred, gt, CLASSES).sum() == (gt != 255).sum()


def test_another_ignore_index():
    pred, gt = np.array([[0, 1]]), np.array([[-1, 1]])
    out = confusion_counts(pred, gt, 2, ignore=-1)
    assert out.tolist() == [[0, 0], [0, 1]]


def test_an_image_without_valid_pixels_counts_zero():
    gt = np.full((2, 2), 255, dtype=np.uint8)
    assert not confusion_counts(np.zeros_like(gt), gt, CLASSES).any()


@pytest.mark.parametrize('bad', [5, 255])
def test_an_index_outside_the_classes_is_refused(masks, bad):
    pred, gt = masks
    gt[0, 0] = 1
    pred[0, 0] = bad
    with pytest.raises(ValueError, match=rf'pred must lie in 0\.\.4 .* got {bad}'):
        confusion_counts(pred, gt, CLASSES)


def test_wrong_ground_truth_is_refused(masks):
    pred, gt = masks
    with pytest.raises(ValueError, match='must have one size'):
        confusion_counts(pred, gt[:-1], CLASSES)
    with pytest.raises(ValueError, match='gt must be an integer mask'):
        confusion_counts(pred, gt.astype(float), CLASSES)
    with pytest.raises(ValueError, match='pred must be an integer mask'):
        confusion_counts(pred[..., None], gt, CLASSES)
    gt[0, 0] = 77
    with pytest.raises(ValueError, match=r'gt must lie in 0\.\.4 .* got 77'):
        confusion_counts(pred, gt, CLASSES)


# --- iou_report


def test_report_equals_the_reference_counters(masks):
    pred, gt = masks
    found, true, hit = reference_counters(pred, gt, CLASSES)
    report = iou_report(confusion_counts(pred, gt, CLASSES))
    ious = []
    for c in range(CLASSES):
        ious.append(hit[c] / (true[c] + found[c] - hit[c] + 1e-10))
        assert report.iou[c] == pytest.approx(ious[c], rel=1e-12)
        assert report.precision[c] == pytest.approx(hit[c] / found[c], rel=1e-9)
        assert report.recall[c] == pytest.approx(hit[c] / true[c], rel=1e-9)
    assert report.miou == pytest.approx(sum(ious) / CLASSES, rel=1e-12)
    missed = [true[c] / hit[c] - 1 for c in range(1, CLASSES)]
    wrong = [found[c] / hit[c] - 1 for c in range(1, CLASSES)]
    assert report.mfn == pytest.approx(sum(missed) / 4, rel=1e-9)
    assert report.mfp == pytest.approx(sum(wrong) / 4, rel=1e-9)


def test_a_class_absent_from_both_sides_counts_as_zero():
    confusion = np.diag([4, 4, 0])
    report = iou_report(confusion)
    assert report.iou.tolist() == pytest.approx([1, 1, 0])
    assert report.miou == pytest.approx(2 / 3)
    assert (report.mfn, report.mfp) == (0, 0)


def test_a_class_never_found_makes_mfn_huge_but_finite():
    report = iou_report(np.array([[4, 0], [2, 0]]))
    assert report.iou[1] == 0
    assert report.mfn == pytest.approx(2e10)
    assert report.mfp == 0


def test_misses_and_false_alarms_are_told_apart():
    # Class 1: 6 true pixels, 2 missed; 5 predicted, 1 wrong.
    report = iou_report(np.array([[10, 1], [2, 4]]))
    assert report.recall[1] == pytest.approx(4 / 6)
    assert report.precision[1] == pytest.approx(4 / 5)
    assert report.mfn == pytest.approx(2 / 4)
    assert report.mfp == pytest.approx(1 / 4)


def test_perfect_masks_score_one(masks):
    gt = masks[1]
    pred = np.where(gt == 255, 0, gt)
    report = iou_report(confusion_counts(pred, gt, CLASSES))
    assert report.miou == pytest.approx(1)


@pytest.mark.parametrize(
    'confusion, message',
    [
        (np.zeros((2, 3)), r'must have the shape \(K, K\)'),
        (np.zeros(4), r'must have the shape \(K, K\)'),
        (np.zeros((1, 1)), 'at least two classes'),
        (np.array([[1, -1], [0, 0]]), 'must hold counts'),
    ],
)
def test_wrong_counts_are_refused(confusion, message):
    with pytest.raises(ValueError, match=message):
        iou_report(confusion)


# --- the threshold curve


def an_image(seed):
    """Maps on the grid of the thresholds, so that ties and equality are common."""
    rng = np.random.default_rng(seed)
    count = seed % 4
    classes = np.sort(rng.choice(CLASSES - 1, size=count, replace=False))
    shape = (count, 13, 17)
    maps = (rng.integers(-5, 80, size=shape) / 100).astype(np.float32)
    maps += (rng.random(shape) < 0.3) * rng.normal(0, 1e-3, shape).astype(np.float32)
    gt = rng.integers(0, CLASSES, size=shape[1:]).astype(np.uint8)
    gt[rng.random(gt.shape) < 0.1] = 255
    return maps, classes, gt


def test_curve_equals_the_loop_over_thresholds():
    histogram = 0
    expected = np.zeros((len(THRESHOLDS), CLASSES, CLASSES), dtype=np.int64)
    for seed in range(8):
        maps, classes, gt = an_image(seed)
        histogram = histogram + threshold_histogram(
            maps, classes, gt, num_classes=CLASSES, thresholds=THRESHOLDS
        )
        for t, threshold in enumerate(THRESHOLDS):
            mask = cam_to_mask(maps, classes, threshold=threshold)
            expected[t] += confusion_counts(mask, gt, CLASSES)
    curve = threshold_curve(histogram)
    assert curve.dtype == np.int64
    np.testing.assert_array_equal(curve, expected)
    assert len({c.tobytes() for c in curve}) > 50  # the thresholds do matter


def test_every_valid_pixel_is_counted_once():
    maps, classes, gt = an_image(3)
    histogram = threshold_histogram(
        maps, classes, gt, num_classes=CLASSES, thresholds=THRESHOLDS
    )
    assert histogram.shape == (61, CLASSES, CLASSES)
    assert histogram.sum() == (gt != 255).sum()
    totals = threshold_curve(histogram).sum(axis=(1, 2))
    assert (totals == (gt != 255).sum()).all()


def test_curve_inputs_are_left_alone():
    maps, classes, gt = an_image(3)
    copies = maps.copy(), classes.copy(), gt.copy()
    histogram = threshold_histogram(
        maps, classes, gt, num_classes=CLASSES, thresholds=THRESHOLDS
    )
    kept = histogram.copy()
    threshold_curve(histogram)
    np.testing.assert_array_equal(histogram, kept)
    for given, copy in zip((maps, classes, gt), copies):
        np.testing.assert_array_equal(given, copy)


@pytest.mark.parametrize(
    'thresholds', [[], [0.2, 0.1], [0.1, 0.1], [-0.1, 0.1], [0.1, np.nan], 0.3]
)
def test_wrong_thresholds_are_refused(thresholds):
    maps, classes, gt = an_image(2)
    with pytest.raises(ValueError, match='thresholds must be'):
        threshold_histogram(
            maps, classes, gt, num_classes=CLASSES, thresholds=thresholds
        )


def test_wrong_curve_inputs_are_refused():
    maps, classes, gt = an_image(2)
    with pytest.raises(ValueError, match='must have one size'):
        threshold_histogram(
            maps, classes, gt[:-1], num_classes=CLASSES, thresholds=[0.1]
        )
    with pytest.raises(ValueError, match=r'class \+ 1 must lie in 0\.\.4'):
        threshold_histogram(maps, [1, 9], gt, num_classes=CLASSES, thresholds=[0.1])
    with pytest.raises(ValueError, match=r'histogram must have the shape'):
        threshold_curve(np.zeros((3, 2, 4)))
