import numpy as np
import pytest

from wsss_mm.io.score_file import load_scores, save_scores


@pytest.fixture
def scores():
    return np.random.default_rng(0).random((2, 3, 4, 5)).astype(np.float32)


def test_round_trip(tmp_path, scores):
    save_scores(tmp_path / 'a.npz', [1, 7], *scores)
    found = load_scores(tmp_path / 'a.npz')
    assert found.classes.dtype == np.int64
    assert found.classes.tolist() == [1, 7]
    for actual, expected in zip(found[1:], scores):
        assert actual.dtype == np.float32
        np.testing.assert_array_equal(actual, expected.astype(np.float16))


def test_the_file_holds_arrays_only(tmp_path, scores):
    save_scores(tmp_path / 'a.npz', np.array([0, 2]), *scores)
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as archive:
        assert sorted(archive.files) == ['classes', 'high', 'low']
        assert archive['low'].dtype == archive['high'].dtype == np.float16


def test_an_image_without_classes(tmp_path, scores):
    save_scores(tmp_path / 'a.npz', [], *scores[:, :1])
    found = load_scores(tmp_path / 'a.npz', num_classes=3)
    assert found.classes.shape == (0,)
    assert found.low.shape == (1, 4, 5)


@pytest.mark.parametrize(
    'classes, low, high, value, match',
    [
        ([2, 1], (3, 4, 5), (3, 4, 5), 0.5, 'ascend'),
        ([1, 1], (3, 4, 5), (3, 4, 5), 0.5, 'ascend'),
        ([-1, 1], (3, 4, 5), (3, 4, 5), 0.5, 'ascend'),
        ([0.0, 1.0], (3, 4, 5), (3, 4, 5), 0.5, 'must be integers'),
        ([0, 1], (2, 4, 5), (3, 4, 5), 0.5, '2 classes do not fit low'),
        ([0, 1], (3, 4, 5), (2, 4, 5), 0.5, '2 classes do not fit high'),
        ([0, 1], (3, 4, 5), (3, 4, 6), 0.5, 'share one shape'),
        ([0, 1], (3, 0, 5), (3, 0, 5), 0.5, 'do not fit'),
        ([0, 1], (4, 5), (4, 5), 0.5, 'must be floats'),
        ([0, 1], (3, 4, 5), (3, 4, 5), np.nan, 'finite'),
        ([0, 1], (3, 4, 5), (3, 4, 5), 7e4, 'finite and within'),
        ([0, 1], (3, 4, 5), (3, 4, 5), 1, 'must be floats'),
    ],
)
def test_wrong_arrays_are_refused_both_ways(tmp_path, classes, low, high, value, match):
    path = tmp_path / 'a.npz'
    low, high = np.full(low, value), np.full(high, value)
    with pytest.raises(ValueError, match=match):
        save_scores(path, classes, low, high)
    assert not path.exists()
    np.savez(path, classes=classes, low=low, high=high)
    with pytest.raises(ValueError, match=rf'a\.npz.*{match}.*again'):
        load_scores(path)


def test_another_ending_is_refused(tmp_path, scores):
    with pytest.raises(ValueError, match=r'must end in \.npz'):
        save_scores(tmp_path / 'a.npy', [0, 1], *scores)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'no seed scores .*a\.npz; make them'):
        load_scores(tmp_path / 'a.npz')


@pytest.mark.parametrize('keep', [0, 3, 100, -30])
def test_a_truncated_file_is_named(tmp_path, scores, keep):
    path = tmp_path / 'a.npz'
    save_scores(path, [0, 1], *scores)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'a\.npz is truncated or no score file'):
        load_scores(path)


def test_foreign_files_are_named(tmp_path, scores):
    path = tmp_path / 'a.npz'
    np.savez(path, classes=[0, 1], maps=scores[0])
    with pytest.raises(ValueError, match='no score file'):
        load_scores(path)
    with path.open('wb') as file:
        np.save(file, scores)
    with pytest.raises(ValueError, match='no score file'):
        load_scores(path)
    np.savez(path, classes=np.array([{}], object), low=scores[0], high=scores[1])
    with pytest.raises(ValueError, match='no score file'):
        load_scores(path)


def test_a_class_out_of_range_is_named(tmp_path, scores):
    save_scores(tmp_path / 'a.npz', [1, 7], *scores)
    with pytest.raises(ValueError, match='class 7, but there are only 7'):
        load_scores(tmp_path / 'a.npz', num_classes=7)
    load_scores(tmp_path / 'a.npz', num_classes=8)
