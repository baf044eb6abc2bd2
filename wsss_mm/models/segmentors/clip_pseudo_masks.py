"""Masks from tags by frozen CLIP, made anew for every batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from wsss_mm.functional import (
    attention_transition,
    box_mask,
    par,
    patch_attention,
    refine_cam,
    select_attention,
    stretch,
    with_background,
)
from wsss_mm.functional.pamr import DILATIONS
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock
from wsss_mm.models.structures import BackboneOutput
from wsss_mm.models.text import WordFeatures, words_of_classes
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError


@dataclass(frozen=True)
class TagCAMs:
    """Grad-CAM of a batch's tags.

    Attributes:
        classes: Per image the foreground indices of its tags, ascending, shape (n,).
        maps: Per image their maps in [0, 1], shape (n, h, w).
        attention: Of all layers, the last among them, each of shape (B, 1, N, N).
    """

    classes: tuple[Tensor, ...]
    maps: tuple[Tensor, ...]
    attention: tuple[Tensor, ...]


@MODELS.register_module()
class CLIPPseudoMasks(BaseModule):
    """Turn the tags of images into masks: Grad-CAM, attention affinity, PAR.

    Nothing of it learns.

    Args:
        text: Arguments of :class:`WordFeatures`.
        last_block: Arguments of :class:`CLIPLastBlock`.
        words: Words for some of the classes, see :func:`words_of_classes`.
        background_words: What may lie behind the classes, and competes with them.
        layers: How many of the last layers give the attention, and of how many
            :func:`select_attention` chooses where there is a learnt affinity.
        box_threshold: See :func:`box_mask`; 0.4 on VOC, 0.7 on COCO; None lets every
            cell spread.
        cam_map: Which of the backbone's maps goes into the last block.
        dilations: Of :func:`par`.
        iterations: Of :func:`par`; 20 in WeCLIP.

    Raises:
        InputError: If a number is out of range.

    Reference:
        Zhang et al., "Frozen CLIP" (WeCLIP), CVPR 2024, and its released code.

    Note:
        The Sinkhorn rounds take float32 on a GPU too, where the released code takes
        half precision before the switch. An image without tags is all background;
        there the released code fails.
    """

    def __init__(  # noqa: PLR0913  # what a config may set
        self,
        *,
        text: dict,
        last_block: dict | None = None,
        words: dict | None = None,
        background_words: Sequence[str] = (),
        layers: tuple[int, int] = (8, 6),
        box_threshold: float | None = 0.4,
        cam_map: int = -1,
        dilations: Sequence[int] = DILATIONS,
        iterations: int = 10,
    ) -> None:
        super().__init__()
        if box_threshold is not None and not 0 <= box_threshold < 1:
            raise InputError(f'box_threshold is {box_threshold}; give one in [0, 1)')
        if len(layers) != 2 or min(layers) < 1:
            raise InputError(f'layers is {layers}; give two numbers of at least 1')
        if iterations < 0:
            raise InputError(f'iterations is {iterations}; give 0 or more')
        self.last_block = CLIPLastBlock(**(last_block or {}))
        self.word_features = WordFeatures(**text)
        self.words = words
        self.background_words = tuple(background_words)
        self.layers, self.selected_layers = layers
        self.box_threshold = box_threshold
        self.cam_map = cam_map
        self.dilations = tuple(dilations)
        self.iterations = iterations

    def text_features(self, names: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Give the features of C class names, (C, E), and of the background words."""
        foreground = words_of_classes(names, self.words)
        background = [(word,) for word in self.background_words]
        features = self.word_features([*foreground, *background])
        features = features.to(self.last_block.proj)
        return features[: len(names)], features[len(names) :]

    @torch.no_grad()
    def tag_cams(
        self, output: BackboneOutput, image_labels: Tensor, names: Sequence[str]
    ) -> TagCAMs:
        """Find what the tags of every image stand on.

        Args:
            output: Of the frozen backbone.
            image_labels: Tags, shape (B, C).
            names: Of the C classes.
        """
        foreground, background = self.text_features(names)
        patches = output.maps[self.cam_map]
        cells = patches.flatten(2).transpose(1, 2)
        first = output.class_tokens[self.cam_map][:, None]
        tokens = torch.cat([first, cells], dim=1)
        height, width = patches.shape[2:]
        classes = tuple(labels.nonzero().flatten() for labels in image_labels)
        found = [
            self.last_block.word_cams(
                one,
                torch.cat([foreground[tags], background]),
                count=len(tags),
                size=(height, width),
            )
            for one, tags in zip(tokens, classes)
        ]
        last = torch.stack([one.attention for one in found])[:, None]
        return TagCAMs(
            classes=classes,
            # Twice: gradients of a saturated softmax are as small as the epsilon.
            maps=tuple(stretch(stretch(one.maps.relu())) for one in found),
            attention=(*output.attention, last),
        )

    def transition(self, cams: TagCAMs, affinity: Tensor | None) -> Tensor:
        """Give what cells of an image take from each other, shape (B, N, N).

        Args:
            cams: Of :meth:`tag_cams`.
            affinity: Learnt, shape (B, N, N); None before there is one.

        Raises:
            InputError: If there are fewer blocks than are asked for.
        """
        count = self.layers if affinity is None else self.selected_layers
        if count > len(cams.attention):
            raise InputError(
                f'pseudo_masks.layers asks for {count} blocks, but backbone and last '
                f'block have {len(cams.attention)}'
            )
        layers = patch_attention(cams.attention, layers=count)
        if affinity is None:
            return attention_transition(layers.mean(dim=1))
        return attention_transition(select_attention(layers, affinity))

    def refined(
        self, cams: TagCAMs, affinity: Tensor | None, scores: Tensor | None = None
    ) -> list[Tensor]:
        """Spread the maps along the attention.

        Args:
            cams: Of :meth:`tag_cams`.
            affinity: See :meth:`transition`.
            scores: Probabilities of the K classes that maps are multiplied by, shape
                (B, K, h, w); None for none.

        Returns:
            Per image its maps, shape (n, h, w).
        """
        found = []
        transitions = self.transition(cams, affinity)
        for i, (tags, maps) in enumerate(zip(cams.classes, cams.maps)):
            mask = None
            if self.box_threshold is not None and len(maps):
                mask = box_mask(maps, threshold=self.box_threshold)
            if scores is not None:
                maps = maps * scores[i, tags + 1]
            found.append(refine_cam(maps, transitions[i], mask))
        return found

    @torch.no_grad()
    def forward(
        self,
        images: Tensor,
        output: BackboneOutput,
        image_labels: Tensor,
        *,
        names: Sequence[str],
        affinity: Tensor | None = None,
        scores: Tensor | None = None,
    ) -> Tensor:
        """Make the masks of a batch.

        Args:
            images: Normalised, shape (B, 3, H, W): PAR looks at their colours, and
                masks get their size.
            output: Of the frozen backbone for these images.
            image_labels: Tags, shape (B, C).
            names: Of the C classes.
            affinity: Of the learnt fused features, shape (B, N, N); None before it
                may be trusted.
            scores: See :meth:`refined`.

        Returns:
            0 for background and i + 1 for foreground class i, int64, shape (B, H, W).
        """
        # Gradients of a saturated softmax are too small for half precision.
        with torch.autocast(images.device.type, enabled=False):
            cams = self.tag_cams(full_precision(output), image_labels, names)
            refined = self.refined(cams, affinity, scores)
            return self.label(images.float(), cams.classes, refined)

    def label(
        self, images: Tensor, classes: Sequence[Tensor], maps: Sequence[Tensor]
    ) -> Tensor:
        """Bring refined maps to the images by PAR, and label every pixel.

        Args:
            images: Shape (B, 3, H, W).
            classes: Per image its n foreground indices.
            maps: Per image its refined maps, shape (n, h, w).
        """
        height, width = images.shape[2:]
        scores = pad_sequence(
            [pixel_scores(one, (height, width)) for one in maps], True
        )
        refined = par(
            images, scores, dilations=self.dilations, iterations=self.iterations
        )
        labels = pad_sequence([F.pad(tags + 1, (1, 0)) for tags in classes], True, -1)
        refined = refined.masked_fill(labels[:, :, None, None] < 0, -torch.inf)
        best = refined.argmax(dim=1)
        return labels.gather(1, best.flatten(1)).view_as(best)


def full_precision(output: BackboneOutput) -> BackboneOutput:
    """Give what a backbone found in float32."""
    return BackboneOutput(
        maps=tuple(one.float() for one in output.maps),
        attention=tuple(one.float() for one in output.attention),
        class_tokens=tuple(one.float() for one in output.class_tokens),
    )


def pixel_scores(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Enlarge refined maps, and put one minus the strongest in front of them.

    Args:
        maps: Of one image, any range, shape (n, h, w).
        size: (H, W) of the result.

    Returns:
        Scores in [0, 1], shape (n + 1, H, W); of the background alone, one
        everywhere, where n is 0.
    """
    if not len(maps):
        return maps.new_ones((1, *size))
    large = F.interpolate(stretch(maps)[None], size, mode='bilinear')
    return with_background(large)[0]
