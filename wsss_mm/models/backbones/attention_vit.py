"""A vision transformer that learns, and gives its attention away."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmseg.models.backbones.vit import VisionTransformer
from torch import Tensor, nn

from wsss_mm.models.structures import BackboneOutput
from wsss_mm.registry import MODELS


@contextmanager
def recorded_attention(layers: Iterable[Any]) -> Iterator[list[Tensor]]:
    """Collect the attention of MMSegmentation's transformer layers as they run.

    It is the mean over the heads, without gradient, shape (B, 1, N, N).
    """
    found: list[Tensor] = []

    def keep(module: nn.Module, given: tuple, output: tuple) -> None:
        found.append(output[1].detach().unsqueeze(1))

    handles = [layer.attn.attn.register_forward_hook(keep) for layer in layers]
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


@MODELS.register_module()
class AttentionViT(VisionTransformer):
    """MMSegmentation's vision transformer, with the attention of all its layers.

    Maps are patch tokens (B, D, h, w), class tokens (B, D) belong to them; attention
    maps are means over the heads, (B, 1, N, N) with N = 1 + h w, the class token first.

    Args:
        img_size: Side of the images that it has positions for.
        patch_size: Side of a patch.
        embed_dims: Width (D).
        num_layers: Blocks.
        num_heads: Attention heads.
        out_indices: Blocks whose features are given, counted from 0; the last if -1.
        init_cfg: MMEngine weight initialisation.

    Reference:
        Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021.
    """

    def __init__(
        self,
        *,
        img_size: int = 224,
        patch_size: int = 16,
        embed_dims: int = 384,
        num_layers: int = 12,
        num_heads: int = 6,
        out_indices: int | Sequence[int] = -1,
        init_cfg: dict | None = None,
    ) -> None:
        several = out_indices if isinstance(out_indices, int) else list(out_indices)
        super().__init__(
            img_size=img_size,
            patch_size=patch_size,
            embed_dims=embed_dims,
            num_layers=num_layers,
            num_heads=num_heads,
            out_indices=several,
            output_cls_token=True,
            patch_bias=True,
            final_norm=True,
            init_cfg=init_cfg,
        )

    def forward(self, inputs: Tensor) -> BackboneOutput:
        """Run the blocks over images (B, 3, H, W)."""
        with recorded_attention(self.layers) as attention:
            outputs = super().forward(inputs)
        return BackboneOutput(
            maps=tuple(maps for maps, _ in outputs),
            attention=tuple(attention),
            class_tokens=tuple(tokens for _, tokens in outputs),
        )
