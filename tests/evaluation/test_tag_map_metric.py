import pytest
import torch

from wsss_mm.evaluation import TagMAPMetric
from wsss_mm.registry import METRICS


def evaluate(scores, labels, classes=()):
    metric = METRICS.build(dict(type='TagMAPMetric'))
    metric.dataset_meta = dict(classes=classes)
    metric.process(
        None,
        [
            dict(img_path=f'{i}.jpg', tag_scores=s, image_labels=t)
            for i, (s, t) in enumerate(zip(torch.tensor(scores), torch.tensor(labels)))
        ],
    )
    return metric.evaluate(len(scores))['tag_mAP']


def test_average_precision_by_hand():
    # Ranked, class 0: hit, miss, hit -> (1 + 2/3) / 2; class 1: miss, hit, miss -> 1/2.
    scores = [[0.9, 0.8], [0.5, 0.1], [0.2, 0.7]]
    labels = [[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]]
    assert evaluate(scores, labels) == pytest.approx(
        100 * ((1 + 2 / 3) / 2 + 1 / 2) / 2
    )


def test_a_perfect_ranking_gives_100():
    labels = [[1.0, 0.0], [0.0, 1.0]]
    assert evaluate(labels, labels, ('background', 'cat', 'dog')) == pytest.approx(100)


def test_classes_without_a_positive_do_not_count():
    assert evaluate([[0.9, 0.8], [0.1, 0.9]], [[1.0, 0], [0, 0.0]]) == pytest.approx(
        100
    )


def test_missing_scores_are_named():
    sample = dict(img_path='a.jpg', image_labels=torch.ones(2))
    with pytest.raises(ValueError, match=r'a\.jpg: the prediction has no tag_scores'):
        TagMAPMetric().process(None, [sample])


def test_other_classes_are_refused():
    sample = dict(
        img_path='a.jpg', image_labels=torch.ones(2), tag_scores=torch.ones(3)
    )
    with pytest.raises(ValueError, match=r'a\.jpg: \(3,\) tag scores but \(2,\)'):
        TagMAPMetric().process(None, [sample])


def test_no_image_or_no_tag_is_refused():
    with pytest.raises(ValueError, match='no image'):
        TagMAPMetric().compute_metrics([])
    with pytest.raises(ValueError, match='no image with a tag'):
        evaluate([[0.5]], [[0.0]])
