"""Test-time augmentation that averages logits."""

import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData

from wsss_mm.registry import MODELS


@MODELS.register_module()
class SegLogitsTTAModel(BaseTTAModel):
    """Average the logits of scaled and mirrored copies of an image.

    MMSegmentation's ``SegTTAModel`` averages probabilities instead; SEAM's
    released retraining code averages logits, then takes the softmax.
    """

    def merge_preds(self, data_samples_list: list[tuple]) -> list:
        """Merge the predictions of every image's copies.

        Args:
            data_samples_list: Per image, the samples of its copies, each with
                ``seg_logits`` of shape (K, H, W) at the image's own size and
                mirrored back.

        Returns:
            Per image one sample: the first copy's names and ground truth, the mean
            ``seg_logits`` (K, H, W) and their argmax ``pred_sem_seg`` (1, H, W).
        """
        merged = []
        for copies in data_samples_list:
            total = torch.zeros_like(copies[0].seg_logits.data)
            for copy in copies:
                total += copy.seg_logits.data
            mean = total / len(copies)
            sample = copies[0].new()
            sample.set_data(
                {
                    'seg_logits': PixelData(data=mean),
                    'pred_sem_seg': PixelData(data=mean.argmax(dim=0, keepdim=True)),
                }
            )
            merged.append(sample)
        return merged
