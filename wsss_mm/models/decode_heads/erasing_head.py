"""SeeNet: a second classifier learns from what the first leaves over."""

import torch
import torch.nn.functional as F
from torch import Tensor

from wsss_mm.functional import attention_mask, c_relu, fuse_attention, tag_loss
from wsss_mm.models.structures import Context, Features
from wsss_mm.registry import MODELS

from .base_cam_head import BaseCAMHead, resize
from .erasing_branch import (
    NORMAL,
    ScoreBranch,
    check_thresholds,
    classifier_to_score,
    losses_of_the_rest,
)


def fuse_branches(maps: Tensor) -> Tensor:
    """Fuse the last axis but two, the branches: (n, M, H, W) to (n, H, W)."""
    return fuse_attention(maps.unbind(dim=-3))


@MODELS.register_module()
class ErasingHead(BaseCAMHead):
    """Train three branches: attention, what it misses, and the background.

    Branch A learns the tags. Its attention erases the object from the features
    and reverses the background; branch B learns the tags from the rest. Branch C,
    with the weights of B, learns that the background has no class.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        channels: Output channels of the 3x3 convolutions of a branch; with none a
            branch is a 1x1 classifier, and a trained :class:`CAMHead` loads into
            both of them (``load_from``).
        in_index: Where the feature map stands among the features.
        dropout_ratio: Element-wise dropout before the scores of branch A.
        thresholds: Attention above the first is erased, below the second it is
            reversed. Branch C sees what is below their mean.
        test_thresholds: The same for prediction, None for ``thresholds``. The
            released network predicts with (0.8, 0.0).
        loss_weight: Factor of all three losses, which are means over the classes;
            C makes them the sums of Caffe's layer.

    Raises:
        InputError: If ``num_classes`` leaves no foreground class, thresholds are not
            ordered, or there is no such `enlarging`.

    Reference:
        Hou et al., "Self-Erasing Network for Integral Object Attention", NeurIPS
        2018, section 3, and the released deploy network.

    Note:
        The training code was never released. That B and C share their weights is
        read off the parameter names of the deploy network.

        Branches are fused at the size of the network's input, and the result is
        resized; :class:`CubicErasingHead` resizes once, as the released notebook.
    """

    linear = False

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        channels: tuple[int, ...] = (512, 512),
        in_index: int = -1,
        dropout_ratio: float = 0.5,
        thresholds: tuple[float, float] = (0.7, 0.05),
        test_thresholds: tuple[float, float] | None = None,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__(num_classes, init_cfg=NORMAL)
        check_thresholds(thresholds, test_thresholds or thresholds)
        self.in_index = in_index
        self.thresholds = thresholds
        self.test_thresholds = test_thresholds or thresholds
        self.loss_weight = loss_weight
        branch = (in_channels, tuple(channels), num_classes - 1)
        self.branch_a = ScoreBranch(*branch, dropout_ratio=dropout_ratio)
        self.branch_b = ScoreBranch(*branch, dropout_ratio=0.0)

    def _load_from_state_dict(
        self, state_dict: dict[str, Tensor], prefix: str, *rest: object
    ) -> None:
        # A plain CAM classifier becomes the score of both branches.
        key = f'{prefix}classifier.weight'
        if key in state_dict and not len(self.branch_a.convs):
            for branch in ('branch_a', 'branch_b'):
                classifier_to_score(state_dict, key, f'{prefix}{branch}.score')
            del state_dict[key]
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def forward(self, features: Features) -> Tensor:
        """Compute the scores of branch A, shape (B, C, h, w)."""
        return self.branch_a(features[self.in_index])

    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Compute the scores of branch A in a view, shape (B, C, h, w)."""
        return self(context.features[view])

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compare each branch with its tags; those of branch C are all zero."""
        labels = self.labels_of(context)
        x = context.features['full'][self.in_index]
        scores = self.raw_cam(context)
        losses = {'loss_a': tag_loss(scores.mean(dim=(2, 3)), labels)}
        losses |= losses_of_the_rest(
            self.branch_b,
            x,
            attention_mask(scores, labels),
            labels,
            thresholds=self.thresholds,
        )
        return {name: self.loss_weight * loss for name, loss in losses.items()}

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the attention of the branches A and B.

        Branch B does not see the attention of the image's classes, or where nobody
        named them, of those that branch A finds.

        Returns:
            The scores of both, shape (B, C, 2, h, w), and the tag logits of branch A,
            shape (B, C). :meth:`to_image` fuses the branches to maps in [0, 1].

        Note:
            The released notebook erases for one tag after the other and never
            clears the earlier ones; here all tags count at once.
        """
        scores = self.raw_cam(context)
        logits = scores.mean(dim=(2, 3))
        labels = logits > 0 if context.image_labels is None else context.image_labels
        high, low = self.test_thresholds
        x = context.features['full'][self.in_index]
        attention = attention_mask(scores, labels)
        rest = self.branch_b(c_relu(x, attention, high=high, low=low))
        return torch.stack([scores, rest], dim=2), logits

    def to_input(self, cam: Tensor, input_size: tuple[int, int]) -> Tensor:
        """Fuse both branches at the size of the network's input, (n, H, W)."""
        return fuse_branches(resize(cam, input_size))


@MODELS.register_module()
class CubicErasingHead(ErasingHead):
    """Resize the attention of both branches once, by OpenCV's cubic kernel.

    Its weights are those of :class:`ErasingHead`.

    Reference:
        The released notebook of SeeNet.
    """

    def to_image(
        self, cam: Tensor, input_size: tuple[int, int], image_size: tuple[int, int]
    ) -> Tensor:
        """Bring both branches to the size of the file and fuse them, (n, H, W)."""
        large = F.interpolate(cam, image_size, mode='bicubic', align_corners=False)
        return fuse_branches(large)
