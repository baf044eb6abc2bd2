"""The plain CAM head: a 1x1 classifier whose spatial mean is the tag logit."""

import torch
from mmengine.model import BaseModule
from mmengine.structures import BaseDataElement
from torch import Tensor, nn

from wsss_mm.functional import tag_loss
from wsss_mm.models.data_preprocessors import View
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

Features = tuple[Tensor, ...]


def stack_image_labels(data_samples: list, num_foreground: int) -> Tensor:
    """Collect the tags of a batch.

    Args:
        data_samples: Samples with a multi-hot field ``image_labels``, shape (C,).
        num_foreground: The C that the head was built for.

    Returns:
        Tags, shape (B, C), on the samples' device.

    Raises:
        ValueError: If a sample has no tags, or tags of another class count.
    """
    for sample in data_samples:
        if 'image_labels' not in sample:
            raise InputError(
                f'{sample.metainfo.get("img_path", "a sample")}: no image tags; end '
                'the pipeline with PackWSSSInputs and read the images through '
                'ImageLabelDataset'
            )
        check_tag_count(sample, num_foreground)
    return torch.stack([sample.image_labels for sample in data_samples])


def check_tag_count(sample: BaseDataElement, num_foreground: int) -> None:
    """Refuse a sample whose tags are over another number of classes.

    Args:
        sample: Sample with a multi-hot field ``image_labels``, shape (C,).
        num_foreground: The C that the head was built for.

    Raises:
        ValueError: If the numbers differ.
    """
    found = sample.image_labels.numel()
    if found != num_foreground:
        raise InputError(
            f'{sample.metainfo.get("img_path", "a sample")}: tags over {found} '
            f'foreground classes, but the head has num_classes={num_foreground + 1} '
            f"({num_foreground} and background); set the head's num_classes to the "
            "length of the dataset's classes"
        )


@MODELS.register_module()
class CAMHead(BaseModule):
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

    align_corners = False

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        *,
        in_index: int = -1,
        dropout_ratio: float = 0.5,
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(
                f'num_classes is {num_classes}: it counts the background and at '
                'least one foreground class'
            )
        self.num_classes = self.out_channels = num_classes
        self.in_index = in_index
        self.dropout = nn.Dropout2d(dropout_ratio)
        self.classifier = self.build_classifier(in_channels)

    def build_classifier(self, in_channels: int) -> nn.Conv2d:
        """Make the 1x1 classifier over the foreground classes."""
        return nn.Conv2d(in_channels, self.num_classes - 1, 1, bias=False)

    def init_weights(self) -> None:
        """Initialise the classifier as the reference does (Xavier)."""
        super().init_weights()
        nn.init.xavier_uniform_(self.classifier.weight)

    def forward(self, features: Features) -> Tensor:
        """Compute the raw CAM, shape (B, C, h, w)."""
        return self.classifier(self.dropout(features[self.in_index]))

    def loss(
        self, features: dict[str, Features], views: dict[str, View], data_samples: list
    ) -> dict[str, Tensor]:
        """Compare the tag logits of the full view with the tags."""
        labels = stack_image_labels(data_samples, self.num_classes - 1)
        logits = self(features['full']).mean(dim=(2, 3))
        return {'loss_cls': tag_loss(logits, labels)}

    def predict(
        self, features: Features, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Compute what inference needs from one view.

        Args:
            features: Features of the view.
            image_size: (H, W) of the network's input; this head keeps (h, w).

        Returns:
            The rectified CAM, shape (B, C, h, w), and the tag logits, shape (B, C).
        """
        cam = self(features)
        return torch.relu(cam), cam.mean(dim=(2, 3))


@MODELS.register_module()
class SqrtCAMHead(CAMHead):
    """Plain CAM whose maps are the square roots of the positive logits.

    Reference:
        AffinityNet's released VGG-16 classifier; ResNet-38's takes no root.
    """

    def predict(
        self, features: Features, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Compute the root of the rectified CAM, and the tag logits."""
        cam, logits = super().predict(features, image_size)
        return cam.sqrt(), logits
