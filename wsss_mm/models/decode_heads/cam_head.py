"""The plain CAM head: a 1x1 classifier whose spatial mean is the tag logit."""

from torch import Tensor, nn

from wsss_mm.functional import tag_loss
from wsss_mm.models.structures import Context, Features
from wsss_mm.registry import MODELS

from .base_cam_head import BaseCAMHead, check_tag_count, stack_image_labels

__all__ = ['CAMHead', 'SqrtCAMHead', 'check_tag_count', 'stack_image_labels']


@MODELS.register_module()
class CAMHead(BaseCAMHead):
    """Classify every feature cell; the mean over cells is trained from tags.

    Args:
        in_channels: Channels of the feature map.
        num_classes: Classes of the dataset, background included (K).
        in_index: Where the feature map stands among the features.
        dropout_ratio: Channel dropout before the classifier.

    Reference:
        Zhou et al., "Learning Deep Features for Discriminative Localization",
        CVPR 2016, in the fully convolutional form of AffinityNet (CVPR 2018).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout_ratio: float = 0.5,
    ) -> None:
        super().__init__(num_classes)
        self.in_index = in_index
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.classifier = self.build_classifier(in_channels)

    def build_classifier(self, in_channels: int) -> nn.Conv2d:
        """Make the 1x1 classifier over the foreground classes."""
        return nn.Conv2d(in_channels, self.num_foreground, 1, bias=False)

    def init_weights(self) -> None:
        """Initialise the classifier as the reference does (Xavier)."""
        super().init_weights()
        nn.init.xavier_uniform_(self.classifier.weight)

    def forward(self, features: Features) -> Tensor:
        """Classify every cell; the raw CAM of one view, shape (B, C, h, w)."""
        return self.classifier(self.dropout(features[self.in_index]))

    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Classify every cell of a view, shape (B, C, h, w)."""
        # A head may have an untrained background channel in front.
        return self(context.features[view])[:, -self.num_foreground :]

    def loss(self, context: Context) -> dict[str, Tensor]:
        """Compare the tag logits of the full view with the tags."""
        logits = self.raw_cam(context).mean(dim=(2, 3))
        return {'loss_cls': tag_loss(logits, self.labels_of(context))}


@MODELS.register_module()
class SqrtCAMHead(CAMHead):
    """Plain CAM whose maps are the square roots of the positive logits.

    Reference:
        AffinityNet's released VGG-16 classifier; ResNet-38's takes no root.
    """

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute the root of the rectified CAM, and the tag logits."""
        cam, logits = super().predict(context)
        return cam.sqrt(), logits
