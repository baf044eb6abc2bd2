"""Multi-scale inference of CAM networks."""

from collections.abc import Callable
from operator import add

import torch
from mmengine.model import BaseTTAModel
from torch import Tensor

from wsss_mm.registry import MODELS

from .cam_prediction import ViewCAM, fuse_views


@MODELS.register_module()
class CAMTTAModel(BaseTTAModel):
    """Sum raw CAMs over scales and mirrors, then normalise once.

    An image and its mirror share a forward pass. Only maps of the present classes
    leave the cells, and the mirror's are added before that.

    Reference:
        The multi-scale inference of SEAM and AffinityNet (released code).
    """

    fuse: Callable[[Tensor, Tensor], Tensor] = staticmethod(add)
    linear = True

    def test_step(self, data: dict) -> list:
        """Predict one batch of views made by mmseg's ``TestTimeAug``."""
        augmented = [
            {key: value[i] for key, value in data.items()}
            for i in range(len(data['data_samples']))
        ]
        groups: list[list[dict]] = []
        for view in augmented:
            if groups and same_sizes(groups[-1][0]['inputs'], view['inputs']):
                groups[-1].append(view)
            else:
                groups.append([view])
        predictions: list[list[ViewCAM]] = []
        for group in groups:
            batch = {key: [x for view in group for x in view[key]] for key in group[0]}
            prepared = self.module.data_preprocessor(batch, False)
            views = self.module.predict_views(**prepared)
            size = len(views) // len(group)
            predictions += [views[i : i + size] for i in range(0, len(views), size)]
            if len(predictions) == len(group):
                samples = prepared['data_samples'][:size]
        return self.merge_preds(list(zip(*predictions)), samples)

    def merge_preds(self, views_list: list, samples: list) -> list:
        """Fuse the views of each image into one prediction.

        Args:
            views_list: Per image its :class:`ViewCAM` of every view.
            samples: Per image the sample of its first view, to be filled.
        """
        module = self.module
        raws = [
            fuse_views(module.decode_head, views, self.fuse, linear=self.linear)
            for views in views_list
        ]
        scores = [
            torch.stack([view.logits.sigmoid() for view in views]).mean(dim=0)
            for views in views_list
        ]
        module.write(samples, raws, [views[0] for views in views_list], scores)
        return samples


@MODELS.register_module()
class MaxCAMTTAModel(CAMTTAModel):
    """Take the maximum of CAMs over scales and mirrors, for maps in [0, 1].

    Reference:
        The fusion of an image with its mirror in SeeNet's released notebook.
    """

    fuse = staticmethod(torch.maximum)
    linear = False


def same_sizes(first: list[Tensor], second: list[Tensor]) -> bool:
    """Say whether two lists hold images of the same sizes."""
    return [image.shape for image in first] == [image.shape for image in second]
