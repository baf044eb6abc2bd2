"""WeCLIP: a segmenter that learns from tags in one stage."""

import torch
from mmseg.models import EncoderDecoder
from torch import Tensor

from wsss_mm.functional import feature_affinity
from wsss_mm.models.decode_heads.base_cam_head import stack_image_labels
from wsss_mm.models.decode_heads.base_weclip_head import BaseWeCLIPHead
from wsss_mm.models.decode_heads.weclip_head import WeCLIPHead
from wsss_mm.models.structures import BackboneOutput, in_single, single_precision
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

from .clip_pseudo_masks import CLIPPseudoMasks


@MODELS.register_module()
class WeCLIP(EncoderDecoder):
    """Train a decoder on frozen CLIP from masks that CLIP makes of the tags.

    The backbone runs without gradient; what learns is the head. Every batch is
    labelled by :class:`CLIPPseudoMasks`, and once `trusts_affinity` is set with the
    affinity that the head has learnt, see :class:`AffinitySwitchHook`. Prediction is
    MMSegmentation's, and needs no tags.

    Attributes:
        trusts_affinity: Whether masks are made with the head's affinity.
        head_kind: Class of the head.
        dataset_meta: The dataset's metainfo, whose ``classes`` are put into words;
            :class:`DatasetMetaHook` sets it.

    Args:
        backbone: Config of a frozen backbone that gives features, attention and class
            tokens: ``CLIPVisionTransformer``.
        decode_head: Config of a :class:`WeCLIPHead`.
        pseudo_masks: Config of :class:`CLIPPseudoMasks`.
        train_cfg: Unused, as in MMSegmentation.
        test_cfg: Of MMSegmentation's ``EncoderDecoder``.
        data_preprocessor: Config of the data preprocessor.
        pretrained: Must be None, as MMSegmentation's ``init_model`` sets it.
        init_cfg: MMEngine weight initialisation.

    Raises:
        InputError: If a part is of another kind.

    Reference:
        Zhang et al., "Frozen CLIP: A Strong Backbone for Weakly Supervised Semantic
        Segmentation" (WeCLIP), CVPR 2024.

    Note:
        The released code reads the tags from the ground-truth masks; here they are the
        image labels of the dataset.
    """

    dataset_meta: dict | None = None
    trusts_affinity: bool = False
    head_kind: type[BaseWeCLIPHead] = WeCLIPHead

    def __init__(  # MMSegmentation sets all of them
        self,
        backbone: dict,
        decode_head: dict,
        pseudo_masks: dict,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        data_preprocessor: dict | None = None,
        pretrained: None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(
            backbone=backbone,
            decode_head=decode_head,
            train_cfg=train_cfg,
            test_cfg=test_cfg,
            data_preprocessor=data_preprocessor,
            pretrained=pretrained,
            init_cfg=init_cfg,
        )
        if not isinstance(self.decode_head, self.head_kind):
            raise InputError(
                f'decode_head is a {type(self.decode_head).__name__}; '
                f'{type(self).__name__} needs a {self.head_kind.__name__}'
            )
        self.pseudo_masks = MODELS.build(pseudo_masks)
        if not isinstance(self.pseudo_masks, CLIPPseudoMasks):
            raise InputError(
                f'pseudo_masks is a {type(self.pseudo_masks).__name__}; WeCLIP needs '
                'CLIPPseudoMasks'
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the foreground classes.

        Raises:
            InputError: If there are none, or another number of them.
        """
        names = tuple((self.dataset_meta or {}).get('classes') or ())
        count = self.decode_head.num_classes
        if len(names) != count:
            raise InputError(
                f'WeCLIP reads the names of its {count} classes, background first, '
                f'and got {len(names)}; set metainfo.classes of the dataset, and keep '
                'DatasetMetaHook'
            )
        return names[1:]

    def loss(self, inputs: Tensor, data_samples: list) -> dict[str, Tensor]:
        """Label a batch from its tags, and compute the head's losses.

        Args:
            inputs: Images, shape (B, 3, H, W).
            data_samples: Samples with ``image_labels``.

        Raises:
            InputError: If a sample has no tags, or the backbone no attention.
        """
        head = self.decode_head
        labels = stack_image_labels(data_samples, head.num_classes - 1)
        with torch.no_grad():
            output = self.backbone(inputs)
        if not isinstance(output, BackboneOutput) or not output.class_tokens:
            raise InputError(
                f'backbone is a {type(self.backbone).__name__}; WeCLIP needs one that '
                'gives attention and class tokens, such as CLIPVisionTransformer'
            )
        fused = head.fused(output)
        (seen,) = in_single((fused.detach(),))
        with single_precision(inputs):
            mask = self.make_masks(inputs, output.in_single(), labels, fused=seen)
        return head.mask_losses(fused, mask)

    @torch.no_grad()
    def make_masks(
        self, images: Tensor, output: BackboneOutput, labels: Tensor, *, fused: Tensor
    ) -> Tensor:
        """Make the masks of a batch, shape (B, H, W).

        Args:
            images: Shape (B, 3, H, W).
            output: Of the backbone for them.
            labels: Their tags, shape (B, C).
            fused: What the head makes of the output, without gradient.
        """
        affinity = feature_affinity(fused) if self.trusts_affinity else None
        return self.pseudo_masks(
            images, output, labels, names=self.names, affinity=affinity
        )
