import json
import multiprocessing

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from wsss_mm.evaluation import THRESHOLDS, VOCIoUMetric, score_confusion
from wsss_mm.functional import cam_to_mask, confusion_counts
from wsss_mm.models.structures import PresentMaps
from wsss_mm.registry import METRICS

NAMES = ('background', 'cat', 'dog')


def make_samples(count=4, seed=0, size=(6, 7)):
    """Predictions with CAMs of random present classes and 255 in the masks."""
    rng = np.random.default_rng(seed)
    samples = []
    for i in range(count):
        labels = torch.tensor([1.0, float(i % 2)])
        cam = torch.from_numpy(rng.random((2, *size), dtype=np.float32))
        cam = cam * labels[:, None, None]
        gt = torch.from_numpy(rng.integers(0, 3, (1, *size)))
        gt[0, 0, :2] = 255
        pred = torch.from_numpy(rng.integers(0, 3, (1, *size)))
        sample = SegDataSample(metainfo=dict(img_path=f'images/{i}.jpg'))
        sample.gt_sem_seg = PixelData(data=gt)
        sample.pred_sem_seg = PixelData(data=pred)
        sample.cam = PixelData(data=cam)
        sample.set_field(labels, 'image_labels')
        samples.append(sample)
    return samples


def without_cams(samples):
    for sample in samples:
        del sample.cam
    return samples


def evaluate(metric, samples, classes=NAMES):
    evaluator = Evaluator([metric])
    evaluator.dataset_meta = dict(classes=classes)
    evaluator.process(samples[:3], None)
    evaluator.process(samples[3:], None)
    return evaluator.evaluate(len(samples))


def naive_iou(samples, mask_of):
    """The definition: one pixel at a time, over all images together."""
    hit, true, found = ([0, 0, 0] for _ in range(3))
    for sample in samples:
        pairs = zip(sample.gt_sem_seg.data.flatten().tolist(), mask_of(sample))
        for gt, pred in pairs:
            if gt == 255:
                continue
            true[gt] += 1
            found[pred] += 1
            hit[gt] += gt == pred
    return 100 * sum(h / (t + f - h) for h, t, f in zip(hit, true, found)) / 3


def test_masks_score_as_defined():
    samples = without_cams(make_samples())
    scores = evaluate(VOCIoUMetric(), samples)
    expected = naive_iou(samples, lambda s: s.pred_sem_seg.data.flatten().tolist())
    assert scores['mIoU'] == pytest.approx(expected)
    assert set(scores) == {'mIoU', 'mFN', 'mFP'}


def test_ratios_of_a_class_that_is_never_hit_are_left_out():
    samples = without_cams(make_samples())
    for sample in samples:
        sample.pred_sem_seg.data.clamp_(max=1)
    assert set(evaluate(VOCIoUMetric(), samples)) == {'mIoU', 'mFP'}


def test_cams_without_a_threshold_score_the_masks_of_the_model():
    samples = make_samples()
    scores = evaluate(VOCIoUMetric(), samples)
    masks = evaluate(VOCIoUMetric(), without_cams(make_samples()))
    assert {key: scores[key] for key in masks} == masks


def masks_at(sample, threshold):
    return cam_to_mask(sample.cam.data.numpy(), [0, 1], threshold=threshold)


@pytest.mark.parametrize('threshold', [0.3, 0.333])
def test_cams_at_a_fixed_threshold(threshold):
    samples = make_samples()
    scores = evaluate(VOCIoUMetric(threshold=threshold), samples)
    expected = naive_iou(samples, lambda s: masks_at(s, threshold).ravel().tolist())
    assert scores['mIoU'] == pytest.approx(expected)


def test_the_curve_equals_looping_over_the_thresholds(tmp_path):
    samples = make_samples()
    file = tmp_path / 'figures.json'
    scores = evaluate(VOCIoUMetric(threshold=0.333, output_json=str(file)), samples)
    mious = []
    for threshold in THRESHOLDS:
        confusion = sum(
            confusion_counts(masks_at(s, threshold), s.gt_sem_seg.data[0].numpy(), 3)
            for s in samples
        )
        mious.append(score_confusion(confusion)['mIoU'])
    assert scores['mIoU_best'] == max(mious)
    assert scores['best_threshold'] == THRESHOLDS[int(np.argmax(mious))]
    written = json.loads(file.read_text())
    assert [point['mIoU'] for point in written['curve']] == mious
    assert [point['threshold'] for point in written['curve']] == list(THRESHOLDS)
    assert written['images'] == len(samples)
    assert list(written['classes']) == list(NAMES)


def test_a_class_that_occurs_nowhere_counts_as_zero():
    gt = torch.zeros(1, 2, 2, dtype=torch.int64)
    sample = SegDataSample(
        gt_sem_seg=PixelData(data=gt), pred_sem_seg=PixelData(data=gt)
    )
    assert evaluate(VOCIoUMetric(), [sample])['mIoU'] == pytest.approx(100 / 3)


def evaluate_rank(rank, folder):
    """One of two ranks: every second image, the last rank padded with image 0."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{folder}/store', rank=rank, world_size=2
    )
    samples = make_samples(count=5)
    mine = [samples[i % 5].to_dict() for i in range(rank, 6, 2)]
    metric = VOCIoUMetric(threshold=0.3)
    metric.dataset_meta = dict(classes=NAMES)
    metric.process(None, mine)
    scores = metric.evaluate(size=5)
    (folder / f'{rank}.json').write_text(json.dumps(scores))
    torch.distributed.destroy_process_group()


def test_two_ranks_count_each_image_once(tmp_path):
    ranks = [
        multiprocessing.get_context('fork').Process(
            target=evaluate_rank, args=(rank, tmp_path)
        )
        for rank in range(2)
    ]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(timeout=60)
    expected = evaluate(VOCIoUMetric(threshold=0.3), make_samples(count=5))
    for rank in range(2):
        scores = json.loads((tmp_path / f'{rank}.json').read_text())
        assert scores == pytest.approx(expected)


def test_builds_from_a_config():
    metric = METRICS.build(dict(type='VOCIoUMetric', threshold=0.26, prefix='cam'))
    assert 'cam/mIoU' in evaluate(metric, make_samples())


def test_results_stay_small_and_predictions_untouched():
    samples = make_samples()
    copies = [sample.clone() for sample in samples]
    metric = VOCIoUMetric()
    metric.dataset_meta = dict(classes=tuple(f'class {i}' for i in range(3)))
    metric.process(None, [sample.to_dict() for sample in samples])
    for result in metric.results:
        assert sum(counts.sum() for _, counts in result.values()) == 2 * 40
        assert all(len(where) <= 40 for where, _ in result.values())
    for sample, copy in zip(samples, copies):
        assert torch.equal(sample.cam.data, copy.cam.data)
        assert torch.equal(sample.gt_sem_seg.data, copy.gt_sem_seg.data)


def test_missing_ground_truth_is_named():
    samples = make_samples()
    del samples[1].gt_sem_seg
    with pytest.raises(ValueError, match=r'images/1\.jpg: no ground truth.*seg_map'):
        evaluate(VOCIoUMetric(), samples)


@pytest.mark.parametrize('cams', [True, False])
def test_sizes_that_differ_are_named(cams):
    samples = make_samples()
    samples[0].gt_sem_seg = PixelData(data=torch.zeros(1, 5, 7, dtype=torch.int64))
    samples = samples if cams else without_cams(samples)
    with pytest.raises(ValueError, match=r'images/0\.jpg: .*\(6, 7\) and \(5, 7\)'):
        evaluate(VOCIoUMetric(), samples)


def test_maps_of_present_classes_alone():
    full, compact = make_samples(), make_samples()
    for sample in compact:
        classes = sample.image_labels.nonzero().flatten()
        sample.cam = PresentMaps.of(sample.cam.data[classes], classes, 2)
    threshold = dict(threshold=0.3)
    assert evaluate(VOCIoUMetric(**threshold), compact) == evaluate(
        VOCIoUMetric(**threshold), full
    )
    with pytest.raises(ValueError, match='CAM has 2 channels, the data set 3'):
        evaluate(VOCIoUMetric(), compact, classes=(*NAMES, 'cow'))


def test_a_model_with_other_classes_is_refused():
    with pytest.raises(ValueError, match='CAM has 2 channels, the data set 3'):
        evaluate(VOCIoUMetric(), make_samples(), classes=(*NAMES, 'cow'))


def test_indices_out_of_range_are_named():
    samples = without_cams(make_samples())
    samples[2].gt_sem_seg.data[0, 3, 3] = 7
    with pytest.raises(ValueError, match=r'images/2\.jpg: gt must lie in 0\.\.2'):
        evaluate(VOCIoUMetric(), samples)


def test_images_with_and_without_cams_do_not_mix():
    samples = make_samples()
    del samples[0].cam
    with pytest.raises(ValueError, match='CAMs for some images'):
        evaluate(VOCIoUMetric(), samples)


def test_nothing_to_score_is_refused():
    with pytest.raises(ValueError, match='no image'):
        VOCIoUMetric().compute_metrics([])


def test_class_names_are_required():
    with pytest.raises(ValueError, match='metainfo'):
        evaluate(VOCIoUMetric(), make_samples(), classes=())
