"""CLIP-ES: CAMs of frozen CLIP, from the words of the classes, without training."""

from collections.abc import Sequence

import torch
from torch import Tensor

from wsss_mm.functional import (
    attention_affinity,
    box_mask,
    patch_attention,
    stretch,
    word_probabilities,
)
from wsss_mm.models.backbones.clip_last_block import CLIPLastBlock, WordCAMs
from wsss_mm.models.decode_heads.base_cam_head import BaseCAMHead
from wsss_mm.models.structures import Context
from wsss_mm.models.text.class_words import Words, checked_words, words_of_classes
from wsss_mm.models.text.word_features import WordFeatures
from wsss_mm.refinement.affinity import DenseAffinity
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

# A probability is no nearer to 0 or 1 than this where a logit is made of it.
LEAST = 1e-6


@MODELS.register_module()
class CLIPESHead(BaseCAMHead):
    """Ask CLIP which cells speak for the words of the classes an image shows.

    The backbone is a :class:`CLIPVisionTransformer`; its last block is here. Grad-CAM
    of a class is that of its softmax among the classes of the image and the background
    words. Each map is then refined: spread along the attention of the last blocks, from
    within the boxes around what is strong in it. Without image labels all classes
    compete. The logits of the image labels are those of the softmax over all classes
    and background words.

    Args:
        num_classes: Classes of the dataset, background included (K).
        words: One word or several for some of the classes; the others use their names.
        background_words: What else may be in the images.
        templates: Prompts that the words are put into.
        text: Arguments of :class:`WordFeatures`: ``checkpoint``, ``cache_dir`` and, for
            another CLIP than ViT-B/16, ``encoder``.
        class_names: Names of the K classes; the dataset's if empty.
        attention_layers: Blocks, counted from the last, whose attention refines; None
            leaves the Grad-CAM as it is.
        box_threshold: Share of a map's maximum that its boxes surround: 0.4 for VOC,
            0.7 for COCO.
        full_boxes: Whether boxes may reach the last row and column; see `box_mask`.
        embed_dims: Width of the backbone.
        num_heads: Its attention heads.
        output_dims: Width of image and word features.
        init_cfg: Of the last block: ``dict(type='Pretrained', checkpoint=...,
            prefix='last_block.')``.

    Raises:
        InputError: If words or templates cannot be used.

    Reference:
        Lin et al., CLIP is Also an Efficient Segmenter, CVPR 2023, and its released
        code.

    Note:
        Everything is float32, where the released code runs CLIP in float16 on a GPU;
        positions are not rounded to float16 (see the backbone).
    """

    trainable = False
    # Pixels in a cell, along each side: CLIP's patch.
    stride = 16

    def __init__(  # noqa: PLR0913  # what a config may set
        self,
        num_classes: int,
        *,
        words: Words | None = None,
        background_words: Sequence[str] = (),
        templates: Sequence[str] = ('a clean origami {}.',),
        text: dict | None = None,
        class_names: Sequence[str] = (),
        attention_layers: int | None = 8,
        box_threshold: float = 0.4,
        full_boxes: bool = False,
        embed_dims: int = 768,
        num_heads: int = 12,
        output_dims: int = 512,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(num_classes)
        self.class_names = tuple(class_names)
        self.words = dict(words or {})
        for name, given in self.words.items():
            checked_words(name, given)
        self.background_words = (
            checked_words('the background', background_words)
            if background_words
            else ()
        )
        if not 0 <= box_threshold < 1:
            raise InputError(f'box_threshold is {box_threshold}; give one in [0, 1)')
        self.attention_layers = attention_layers
        self.box_threshold = box_threshold
        self.full_boxes = full_boxes
        self.text = WordFeatures(templates=templates, **(text or {}))
        self.last_block = CLIPLastBlock(
            embed_dims=embed_dims,
            num_heads=num_heads,
            output_dims=output_dims,
            init_cfg=init_cfg,
        )

    def word_features(self, context: Context) -> tuple[Tensor, Tensor]:
        """Give unit vectors of the classes, (C, E), and of the background, (b, E).

        Raises:
            InputError: If the names of the classes are not known, or words are given
                for others.
        """
        classes = words_of_classes(self.names_of(context), self.words)
        background = [(word,) for word in self.background_words]
        features = self.text([*classes, *background]).to(self.last_block.proj)
        return features[: len(classes)], features[len(classes) :]

    def word_cams(
        self, context: Context, view: str = 'full'
    ) -> list[tuple[Tensor, WordCAMs]]:
        """Look at each image: the indices of its classes, (n,), and their Grad-CAM.

        Raises:
            InputError: If the backbone gives no class token.
        """
        tokens = tokens_of(context, view)
        size = context.features[view][-1].shape[-2:]
        classes, background = self.word_features(context)
        labels: Sequence[Tensor | None] = [None] * len(tokens)
        if context.image_labels is not None:
            labels = list(self.labels_of(context))
        found = []
        for own, shown in zip(tokens, labels):
            present = torch.arange(len(classes), device=own.device)
            if shown is not None:
                present = shown.to(own.device).nonzero().flatten()
            words = torch.cat([classes[present], background])
            cams = self.last_block.word_cams(
                own, words, count=len(present), size=(size[0], size[1])
            )
            found.append((present, cams))
        return found

    def compute_cam(self, context: Context, view: str = 'full') -> Tensor:
        """Compute Grad-CAM, (B, C, h, w); that of classes not shown is zero."""
        return self.all_classes(
            [(present, cams.maps) for present, cams in self.word_cams(context, view)]
        )

    def all_classes(self, maps: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Put maps of some classes, (n, h, w), into maps of all, (B, C, h, w)."""
        whole = []
        for present, one in maps:
            every = one.new_zeros((self.num_foreground, *one.shape[-2:]))
            every[present] = one
            whole.append(every)
        return torch.stack(whole)

    def predict(self, context: Context) -> tuple[Tensor, Tensor]:
        """Compute refined maps, in [0, 1), and the logits of the image labels."""
        classes, background = self.word_features(context)
        every = torch.cat([classes, background])
        maps, logits = [], []
        given = context.cams.get('full')
        for i, (present, cams) in enumerate(self.word_cams(context)):
            raw = cams.maps if given is None else given[i, present]
            layers = () if context.attention is None else context.attention['full']
            attention = (*(one[i] for one in layers), cams.attention[None])
            # Twice, as the released code: it matters where a softmax is saturated.
            stretched = stretch(stretch(raw.relu()))
            maps.append((present, self.refine(stretched, attention)))
            scores = word_probabilities(
                cams.feature, every, scale=self.last_block.scale
            )
            logits.append(scores[: len(classes)].logit(LEAST))
        return self.all_classes(maps), torch.stack(logits)

    def refine(self, maps: Tensor, attention: Sequence[Tensor]) -> Tensor:
        """Spread maps of one image, (n, h, w), in [0, 1), along its attention.

        Args:
            maps: Normalised maps of its classes.
            attention: Of all blocks, each of shape (1, N, N), class token first.

        Raises:
            InputError: If there are fewer blocks than are asked for.
        """
        size = (maps.shape[-2], maps.shape[-1])
        if self.attention_layers is None or not len(maps):
            return maps
        if not 1 <= self.attention_layers <= len(attention):
            raise InputError(
                f'attention_layers is {self.attention_layers}, but the backbone and '
                f'the last block give the attention of {len(attention)} blocks; the '
                "backbone's own attention_layers says of how many"
            )
        last = patch_attention(
            [one[None] for one in attention], layers=self.attention_layers
        )
        affinity = attention_affinity(last[0].mean(dim=0))
        boxes = box_mask(maps, threshold=self.box_threshold, full_boxes=self.full_boxes)
        # Twice, as the released code squares its matrix.
        spread = DenseAffinity(affinity, size, self.stride, steps=2)
        return stretch(spread.propagate(maps * boxes))


def tokens_of(context: Context, view: str) -> Tensor:
    """Join class token and patches of the last map, (B, N, D).

    Raises:
        InputError: If the backbone gives no class token.
    """
    if context.class_tokens is None or not context.class_tokens[view]:
        raise InputError(
            'the backbone gives no class token, so this is not CLIP; set '
            "backbone=dict(type='CLIPVisionTransformer')"
        )
    patches = context.features[view][-1].flatten(2).transpose(1, 2)
    return torch.cat([context.class_tokens[view][-1][:, None], patches], dim=1)
