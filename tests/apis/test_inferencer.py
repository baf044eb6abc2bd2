import mmcv
import numpy as np
import pytest
import torch
from mmseg.apis import MMSegInferencer, inference_model, init_model

from wsss_mm import CAMInferencer, SegmentationInferencer
from wsss_mm.functional import cam_to_mask
from wsss_mm.io.cam_file import load_cam
from wsss_mm.io.image_file import read_rgb
from wsss_mm.io.mask_file import load_mask
from wsss_mm.utils.errors import InputError


@pytest.fixture
def images(synth):
    return sorted((synth / 'JPEGImages').glob('*.jpg'))


@pytest.fixture
def inferencer(cam_network):
    return CAMInferencer(cam_network.config, cam_network.checkpoint, device='cpu')


def stock_masks(network, path):
    """What MMSegmentation's own ways give for a file and for its BGR array."""
    model = init_model(str(network.config), str(network.checkpoint), device='cpu')
    array = mmcv.imread(str(path))
    results = [inference_model(model, str(path)), inference_model(model, array)]
    masks = [one.pred_sem_seg.data[0].numpy() for one in results]
    stock = MMSegInferencer(
        str(network.config), str(network.checkpoint), device='cpu', scope='mmseg'
    )
    found = stock(str(path), return_datasamples=True)
    return [*masks, found.pred_sem_seg.data[0].numpy()]


class TestEqualMasks:
    def test_of_a_cam_network(self, inferencer, cam_network, images):
        (ours,) = inferencer(images[0])
        (of_array,) = inferencer(mmcv.imread(str(images[0])))
        assert np.unique(ours.mask).size > 1
        np.testing.assert_array_equal(of_array.mask, ours.mask)
        for mask in stock_masks(cam_network, images[0]):
            np.testing.assert_array_equal(mask, ours.mask)

    def test_of_a_segmenter(self, segmenter, images):
        inferencer = SegmentationInferencer(
            segmenter.config, segmenter.checkpoint, device='cpu'
        )
        (ours,) = inferencer(images[0])
        (of_array,) = inferencer(mmcv.imread(str(images[0])))
        np.testing.assert_array_equal(of_array.mask, ours.mask)
        for mask in stock_masks(segmenter, images[0]):
            np.testing.assert_array_equal(mask, ours.mask)

    @pytest.mark.parametrize('kind', ['cam_network', 'segmenter'])
    def test_mixed_precision_is_near(self, kind, images, request):
        network = request.getfixturevalue(kind)
        build = dict(cam_network=CAMInferencer, segmenter=SegmentationInferencer)[kind]
        masks, dtypes = [], []
        for amp in (False, True):
            inferencer = build(
                network.config, network.checkpoint, device='cpu', amp=amp
            )
            inferencer.network.model.backbone.register_forward_hook(
                lambda module, args, maps: dtypes.append(maps[-1].dtype)
            )
            (result,) = inferencer(images[0])
            masks.append(result.mask)
        assert dtypes == [torch.float32, torch.bfloat16]
        assert (masks[0] == masks[1]).mean() > 0.9

    def test_the_channels_play_a_part(self, inferencer, images):
        """Else the tests above could not tell BGR from RGB."""
        image = mmcv.imread(str(images[0]))
        straight, swapped = inferencer([image, image[..., ::-1].copy()])
        assert (straight.mask != swapped.mask).any()


class TestCAMs:
    def test_of_the_named_classes(self, inferencer, images):
        names = inferencer.network.class_names
        (result,) = inferencer(str(images[0]), tags=[names[3], names[1]])
        assert result.classes == (names[1], names[3])
        assert result.cams.shape == (2, *result.image.shape[:2])
        np.testing.assert_array_equal(result.image, read_rgb(images[0]))
        threshold = inferencer.cfg.model.test_cfg.background_threshold
        expected = cam_to_mask(result.cams, [0, 2], threshold=threshold)
        np.testing.assert_array_equal(result.mask, expected)
        assert list(result.tag_scores) == list(names[1:])
        assert all(0 <= score <= 1 for score in result.tag_scores.values())

    def test_no_tag_at_all_is_background(self, inferencer, images):
        (result,) = inferencer(images[0], tags=[])
        assert (len(result.cams), result.mask.max()) == (0, 0)

    def test_several_scales_are_those_of_the_dataset(self, cam_network, images):
        from wsss_mm import generate_cams

        out = generate_cams(
            cam_network.config, cam_network.checkpoint, out=images[0].parents[1] / 'out'
        ).out
        network = CAMInferencer(
            cam_network.config, cam_network.checkpoint, multi_scale=True, device='cpu'
        )
        path = sorted((out / 'cams').glob('*.npz'))[0]
        classes, maps = load_cam(path)
        names = [network.network.class_names[i + 1] for i in classes]
        image = images[0].with_name(f'{path.stem}.jpg')
        (result,) = network(image, tags=names)
        assert result.classes == tuple(names)
        np.testing.assert_allclose(result.cams, maps, atol=1e-3)
        mask = load_mask(out / 'masks' / f'{path.stem}.png')
        np.testing.assert_array_equal(result.mask, mask)

    def test_refined_masks(self, inferencer, images):
        name = inferencer.network.class_names[1]
        (raw,) = inferencer(images[0], tags=[name])
        (refined,) = inferencer(images[0], tags=[name], refine='pamr')
        np.testing.assert_array_equal(raw.cams, refined.cams)
        assert set(np.unique(refined.mask)) <= {0, 1}


class TestImages:
    def test_a_folder_a_list_and_their_tags(self, inferencer, images, tmp_path):
        folder = tmp_path / 'photos'
        (folder / 'street').mkdir(parents=True)
        (folder / 'street' / 'a b.jpg').write_bytes(images[0].read_bytes())
        (folder / 'c.JPG').write_bytes(images[1].read_bytes())
        names = inferencer.network.class_names
        found = inferencer(folder, tags={'street/a b': [names[1]], 'c': []})
        assert [one.name for one in found] == ['c', 'street/a b']
        assert [one.classes for one in found] == [(), (names[1],)]
        same = inferencer([folder / 'c.JPG', images[0]], tags=[[], [names[1]]])
        np.testing.assert_array_equal(same[1].mask, found[1].mask)
        both = inferencer([folder / 'c.JPG', images[0]], tags=[names[2]])
        assert [one.classes for one in both] == [(names[2],)] * 2

    def test_results_are_saved_under_their_names(self, inferencer, images, tmp_path):
        name = inferencer.network.class_names[1]
        (result,) = inferencer(images[0], tags=[name])
        result.save(tmp_path / 'out')
        stem = images[0].stem
        classes, maps = load_cam(tmp_path / f'out/cams/{stem}.npz')
        assert classes.tolist() == [0]
        np.testing.assert_allclose(maps, result.cams, atol=1e-3)
        mask = load_mask(tmp_path / f'out/masks/{stem}.png')
        np.testing.assert_array_equal(mask, result.mask)
        picture = read_rgb(tmp_path / f'out/pictures/{stem}.png')
        np.testing.assert_array_equal(picture, result.picture())
        height, width = result.image.shape[:2]
        assert picture.shape[:2] == (height, 3 * width + 2 * 4)

    @pytest.mark.parametrize(
        'given, message',
        [
            ('nowhere.jpg', r'nowhere\.jpg: no such image or folder'),
            ([], 'no image was given'),
            (np.zeros((3, 4), np.uint8), 'give BGR values'),
            (np.zeros((3, 4, 3), np.float32), 'give BGR values'),
        ],
    )
    def test_others_are_refused(self, inferencer, given, message):
        with pytest.raises(InputError, match=message):
            inferencer(given)

    def test_a_damaged_file_is_named(self, inferencer, images, tmp_path):
        path = tmp_path / 'half.jpg'
        path.write_bytes(images[0].read_bytes()[:400])
        with pytest.raises(InputError, match=r'half\.jpg.*truncated'):
            inferencer(path)

    def test_two_of_one_name_are_refused(self, inferencer, images, tmp_path):
        twin = tmp_path / images[0].name
        twin.write_bytes(images[0].read_bytes())
        with pytest.raises(InputError, match='have one name'):
            inferencer([images[0].parent, twin])
        # Files that were named one by one keep their folders instead.
        names = [one.name for one in inferencer([images[0], twin])]
        assert names[1].endswith(f'{tmp_path.name}/{images[0].stem}')
        assert names[0].endswith(f'JPEGImages/{images[0].stem}')


class TestRefusals:
    @pytest.mark.parametrize(
        'tags, message',
        [
            (['unicorn'], "tag 'unicorn' is not a class of this network"),
            ('unicorn', r"give a list of names: \['unicorn'\]"),
            ({'other': []}, 'no tags for image'),
            ([[], []], '2 lists of tags for 1 images'),
        ],
    )
    def test_tags(self, inferencer, images, tags, message):
        with pytest.raises(InputError, match=message):
            inferencer(images[0], tags=tags)

    def test_a_chain_that_walks(self, inferencer, images):
        with pytest.raises(InputError, match='walks along an affinity network'):
            inferencer(images[0], refine='rw')

    def test_a_network_without_weights(self, cam_network):
        with pytest.raises(InputError, match='has to be trained'):
            CAMInferencer(cam_network.config)
