"""CLIP's frozen image encoder: MMSegmentation's ViT, with its attention maps.

It has the blocks up to the last but one; the last, by which Grad-CAM goes back, is a
:class:`CLIPLastBlock`. Weights come from a file that ``wsss convert`` wrote.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from mmseg.models.backbones.vit import VisionTransformer
from torch import Tensor, nn

from wsss_mm.models.structures import BackboneOutput
from wsss_mm.registry import MODELS
from wsss_mm.utils.errors import InputError

EPS = 1e-5
NORM = dict(type='LN', eps=EPS)
# Named with its scope: mmcv looks for activations in the default one.
ACTIVATION = dict(type='mmseg.QuickGELU')
PARTIAL_PATCHES = ('resize', 'drop')


def whole_patches(images: Tensor, patch: int, partial: str = 'resize') -> Tensor:
    """Bring images to sides that are multiples of a patch.

    Args:
        images: Shape (B, 3, H, W).
        patch: Side of a patch, in pixels.
        partial: ``'resize'`` enlarges them to the next multiples, so that the cells
            cover the image exactly, as CLIP-ES; ``'drop'`` leaves out what fills no
            whole patch at the right and the bottom, as WeCLIP.

    Raises:
        InputError: If `partial` is neither, or nothing would be left.
    """
    if partial not in PARTIAL_PATCHES:
        raise InputError(f'partial_patches is {partial!r}: one of {PARTIAL_PATCHES}')
    height, width = images.shape[-2:]
    if partial == 'drop':
        if min(height, width) < patch:
            raise InputError(f'an image of {height} x {width} is less than a patch')
        return images[..., : height - height % patch, : width - width % patch]
    size = (height + -height % patch, width + -width % patch)
    if size == (height, width):
        return images
    return F.interpolate(images, size, mode='bilinear', align_corners=False)


def no_map(module: nn.Module, given: tuple, named: dict) -> tuple[tuple, dict]:
    """Let torch's attention leave out its map, which no one reads: it is faster."""
    return given, {**named, 'need_weights': False}


@MODELS.register_module()
class CLIPVisionTransformer(VisionTransformer):
    """Give features of CLIP's blocks, without gradient, and their attention maps.

    Maps are patch tokens (B, D, h, w) of the blocks in `out_indices`; attention maps
    are means over the heads, (B, 1, N, N) with N = 1 + h w, the class token first, of
    the last `attention_layers`; class tokens (B, D) belong to the maps. Positions are
    resized to the image bilinearly. Nothing of it learns.

    Args:
        img_size: Side of the images it was trained on.
        patch_size: Side of a patch.
        embed_dims: Width (D).
        num_layers: Blocks to run: all but the last.
        num_heads: Attention heads.
        out_indices: Blocks whose features are given, counted from 0; all if None.
        partial_patches: See :func:`whole_patches`.
        attention_layers: How many of the last blocks give their attention, all if
            None; the others are faster without.
        init_cfg: ``dict(type='Pretrained', checkpoint=..., prefix='backbone.')``.

    Raises:
        InputError: If `partial_patches` is unknown, or there are fewer blocks.

    Reference:
        Radford et al., ICML 2021; as in CLIP-ES (CVPR 2023) and WeCLIP (CVPR 2024).

    Note:
        The released code of both rounds the resized positions to float16, and takes an
        image of 76 patches for a text; neither is done here.
    """

    def __init__(  # noqa: PLR0913  # what a config may set
        self,
        *,
        img_size: int = 224,
        patch_size: int = 16,
        embed_dims: int = 768,
        num_layers: int = 11,
        num_heads: int = 12,
        out_indices: tuple[int, ...] | None = None,
        partial_patches: str = 'resize',
        attention_layers: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        every = tuple(range(num_layers))
        super().__init__(
            img_size=img_size,
            patch_size=patch_size,
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            out_indices=every if out_indices is None else tuple(out_indices),
            output_cls_token=True,
            patch_bias=False,
            pre_norm=True,
            final_norm=False,
            norm_cfg=NORM,
            act_cfg=ACTIVATION,
            interpolate_mode='bilinear',
            init_cfg=init_cfg,
        )
        if partial_patches not in PARTIAL_PATCHES:
            raise InputError(
                f'partial_patches is {partial_patches!r}: one of {PARTIAL_PATCHES}'
            )
        if attention_layers is not None and not 0 <= attention_layers <= num_layers:
            raise InputError(
                f'attention_layers is {attention_layers}, but there are {num_layers} '
                'blocks'
            )
        self.partial_patches = partial_patches
        self.attention_layers = attention_layers
        self.requires_grad_(False)
        self.train(False)

    def init_weights(self) -> None:
        """Load the weights of `init_cfg`; the parent's ignores its prefix."""
        if self.init_cfg is None:
            super().init_weights()
        else:
            BaseModule.init_weights(self)

    def train(self, mode: bool = True) -> 'CLIPVisionTransformer':
        """Stay in evaluation mode, whatever the mode of the network around it."""
        super().train(False)
        return self

    @torch.no_grad()
    def forward(self, inputs: Tensor) -> BackboneOutput:
        """Run the blocks over images.

        Args:
            inputs: Normalised as CLIP's own, shape (B, 3, H, W).
        """
        attention: list[Tensor] = []

        def keep(module: nn.Module, given: tuple, output: tuple) -> None:
            attention.append(output[1].unsqueeze(1))

        count = len(self.layers)
        asked = count if self.attention_layers is None else self.attention_layers
        handles = []
        for i, layer in enumerate(self.layers):
            attn = layer.attn.attn
            if i >= count - asked:
                handles.append(attn.register_forward_hook(keep))
            else:
                handles.append(attn.register_forward_pre_hook(no_map, with_kwargs=True))
        try:
            images = whole_patches(inputs, self.patch_size, self.partial_patches)
            outputs = super().forward(images)
        finally:
            for handle in handles:
                handle.remove()
        return BackboneOutput(
            maps=tuple(maps for maps, _ in outputs),
            attention=tuple(attention),
            class_tokens=tuple(tokens for _, tokens in outputs),
        )

    def _pos_embeding(
        self, patched_img: Tensor, hw_shape: tuple[int, int], pos_embed: Tensor
    ) -> Tensor:
        # The parent resizes only for another number of patches: not for 7 x 28.
        side = self.img_size[0] // self.patch_size
        if tuple(hw_shape) != (side, side):
            pos_embed = self.resize_pos_embed(
                pos_embed, hw_shape, (side, side), self.interpolate_mode
            )
        return self.drop_after_pos(patched_img + pos_embed)
