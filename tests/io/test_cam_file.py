import numpy as np
import pytest

from wsss_mm.io.cam_file import load_cam, save_cam


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((2, 3, 4)).astype(np.float32)


def test_round_trip(tmp_path, maps):
    save_cam(tmp_path / 'a.npz', [1, 7], maps)
    classes, again = load_cam(tmp_path / 'a.npz')
    assert classes.dtype == np.int64
    assert classes.tolist() == [1, 7]
    assert again.dtype == np.float32
    np.testing.assert_array_equal(again, maps.astype(np.float16))


def test_the_file_holds_arrays_only(tmp_path, maps):
    save_cam(tmp_path / 'a.npz', np.array([0, 2]), maps)
    with np.load(tmp_path / 'a.npz', allow_pickle=False) as archive:
        assert sorted(archive.files) == ['classes', 'maps']
        assert archive['maps'].dtype == np.float16


def test_an_image_without_classes(tmp_path):
    save_cam(tmp_path / 'a.npz', [], np.zeros((0, 5, 6)))
    classes, maps = load_cam(tmp_path / 'a.npz', num_classes=3)
    assert classes.shape == (0,)
    assert maps.shape == (0, 5, 6)


@pytest.mark.parametrize(
    'classes, shape, value, match',
    [
        ([2, 1], (2, 3, 4), 0.5, 'ascend'),
        ([1, 1], (2, 3, 4), 0.5, 'ascend'),
        ([-1, 1], (2, 3, 4), 0.5, 'ascend'),
        ([0.0, 1.0], (2, 3, 4), 0.5, 'must be integers'),
        ([[0, 1]], (2, 3, 4), 0.5, 'must be integers'),
        ([0], (2, 3, 4), 0.5, '1 classes do not fit'),
        ([0, 1], (2, 0, 4), 0.5, 'do not fit'),
        ([0, 1], (3, 4), 0.5, 'must be floats'),
        ([0, 1], (2, 3, 4), np.nan, 'finite'),
        ([0, 1], (2, 3, 4), -7e4, 'finite and within'),
    ],
)
def test_wrong_arrays_are_refused_both_ways(tmp_path, classes, shape, value, match):
    path = tmp_path / 'a.npz'
    maps = np.full(shape, value)
    with pytest.raises(ValueError, match=match):
        save_cam(path, classes, maps)
    assert not path.exists()
    np.savez(path, classes=classes, maps=maps)
    with pytest.raises(ValueError, match=rf'a\.npz.*{match}.*gen_pseudo'):
        load_cam(path)


def test_another_ending_is_refused(tmp_path, maps):
    with pytest.raises(ValueError, match=r'must end in \.npz'):
        save_cam(tmp_path / 'a.npy', [0, 1], maps)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ValueError, match=r'no CAM file .*a\.npz; make it'):
        load_cam(tmp_path / 'a.npz')


@pytest.mark.parametrize('keep', [0, 3, 100, -30])
def test_a_truncated_file_is_named(tmp_path, maps, keep):
    path = tmp_path / 'a.npz'
    save_cam(path, [0, 1], maps)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r'a\.npz is truncated or no CAM'):
        load_cam(path)


def test_foreign_files_are_named(tmp_path, maps):
    path = tmp_path / 'a.npz'
    np.savez(path, cam=maps)
    with pytest.raises(ValueError, match='no CAM file'):
        load_cam(path)
    with path.open('wb') as file:
        np.save(file, maps)
    with pytest.raises(ValueError, match='no CAM file'):
        load_cam(path)
    np.savez(path, classes=np.array([{}], object), maps=maps)
    with pytest.raises(ValueError, match='no CAM file'):
        load_cam(path)


def test_a_class_out_of_range_is_named(tmp_path, maps):
    save_cam(tmp_path / 'a.npz', [1, 7], maps)
    with pytest.raises(ValueError, match='class 7, but there are only 7'):
        load_cam(tmp_path / 'a.npz', num_classes=7)
    load_cam(tmp_path / 'a.npz', num_classes=8)
