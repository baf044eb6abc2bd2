import json

import numpy as np
import pytest

from wsss_mm.evaluation import (
    best_point,
    class_table,
    format_figures,
    score_confusion,
    score_curve,
    summarize,
    write_json,
)
from wsss_mm.functional import cam_to_mask, confusion_counts, threshold_histogram

CONFUSION = np.array([[6, 2, 0], [1, 3, 0], [2, 0, 0]])
NAMES = ('background', 'cat', 'dog')


def test_scores_are_percent_over_all_classes():
    scores = score_confusion(CONFUSION)
    # background 6 / (6 + 2 + 3), cat 3 / (3 + 2 + 1), dog 0 / 2
    assert scores['mIoU'] == pytest.approx(100 * (6 / 11 + 3 / 6 + 0) / 3)
    # the missed dog has no hit: its ratio is two pixels over 1e-10
    assert scores['mFN'] == pytest.approx((1 / 3 + 2e10) / 2)
    assert scores['mFP'] == pytest.approx((2 / 3 + 0) / 2)


def test_curve_equals_masking_at_every_threshold():
    rng = np.random.default_rng(0)
    maps, gt = rng.random((2, 5, 6)), rng.integers(0, 3, (5, 6))
    thresholds = (0.0, 0.3, 0.9)
    histogram = threshold_histogram(
        maps, [0, 1], gt, num_classes=3, thresholds=thresholds
    )
    for point in score_curve(histogram, thresholds):
        mask = cam_to_mask(maps, [0, 1], threshold=point['threshold'])
        expected = score_confusion(confusion_counts(mask, gt, 3))
        assert point == {'threshold': point['threshold'], **expected}


def test_curve_refuses_other_thresholds():
    with pytest.raises(ValueError, match='holds 2 thresholds, 3 given'):
        score_curve(np.zeros((3, 2, 2), dtype=np.int64), (0.0, 0.1, 0.2))


def test_best_point_takes_the_lowest_threshold_on_ties():
    curve = [
        {'threshold': t, 'mIoU': m} for t, m in [(0.0, 1), (0.1, 5), (0.2, 5), (0.3, 2)]
    ]
    assert best_point(curve)['threshold'] == 0.1
    with pytest.raises(ValueError, match='empty'):
        best_point([])


def test_table_has_a_row_for_every_class():
    lines = class_table(CONFUSION, NAMES).splitlines()
    cat = next(line for line in lines if 'cat' in line)
    assert cat.split('|')[2:5] == [' 50.00 ', '     60.00 ', '  75.00 ']
    assert sum(name in line for line in lines for name in NAMES) == 3


def test_summary_keeps_fixed_and_best_apart(tmp_path):
    curve = [
        {'threshold': 0.1, 'mIoU': 20.0, 'mFN': 1.0, 'mFP': 1.0},
        {'threshold': 0.2, 'mIoU': 90.0, 'mFN': 1.0, 'mFP': 1.0},
    ]
    summary = summarize(CONFUSION, NAMES, threshold=0.1, curve=curve)
    assert summary['mIoU'] == score_confusion(CONFUSION)['mIoU']
    assert (summary['threshold'], summary['mIoU_best']) == (0.1, 90.0)
    assert summary['best_threshold'] == 0.2
    assert summary['classes']['cat']['recall'] == pytest.approx(75)
    assert summary['pixels'] == 14
    write_json(tmp_path / 'new' / 'figures.json', summary)
    # No pixel is right of dog: there is no ratio.
    assert summary['mFN'] > 1e9
    kept = json.loads((tmp_path / 'new' / 'figures.json').read_text())
    assert kept == {**summary, 'mFN': None}
    assert len(list((tmp_path / 'new').iterdir())) == 1


def test_masks_have_no_threshold_in_their_summary():
    assert set(summarize(CONFUSION, NAMES)) == {
        'mIoU',
        'mFN',
        'mFP',
        'classes',
        'pixels',
    }


def test_ratios_without_meaning_are_null_in_the_curve_too(tmp_path):
    curve = [{'threshold': 0.1, 'mIoU': 20.0, 'mFN': 1.0, 'mFP': 2e10}]
    write_json(tmp_path / 'a.json', {'mFN': 0.5, 'curve': curve})
    kept = json.loads((tmp_path / 'a.json').read_text())
    assert kept == {'mFN': 0.5, 'curve': [{**curve[0], 'mFP': None}]}
    assert curve[0]['mFP'] == 2e10


def test_json_refuses_what_json_cannot_hold(tmp_path):
    with pytest.raises(ValueError, match='JSON'):
        write_json(tmp_path / 'figures.json', {'mIoU': float('nan')})
    assert not list(tmp_path.iterdir())


def test_figures_say_which_class_is_never_hit():
    names = ['background', 'cat', 'dog']
    confusion = np.array([[5, 0, 1], [3, 0, 0], [1, 0, 2]])
    summary = {'images': 4, **summarize(confusion, names)}
    text = format_figures(summary)
    assert summary['mFN'] > 1e9  # as the reference has it
    assert 'mFN         no figure: not a pixel is right of cat (missed' in text
    assert f'mFP         {summary["mFP"]:.4g}' in text  # no pixel is called cat
    assert f'mIoU        {summary["mIoU"]:.2f} %\n' in text
    confusion[1, 1] = 1
    summary = {'images': 4, **summarize(confusion, names)}
    assert f'mFN         {(3 + 0.5) / 2:<8.4g} (missed' in format_figures(summary)


def test_figures_say_how_the_threshold_was_chosen():
    counts = np.array([[5, 1], [2, 4]])
    summary = {'images': 1, **summarize(counts, ['background', 'cat'], threshold=0.3)}
    assert 'at threshold 0.3\n' in format_figures(summary)
    summary['threshold_chosen'] = 'without ground truth'
    assert 'at threshold 0.3 (chosen without ground truth)' in format_figures(summary)
