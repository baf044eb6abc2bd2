"""The last block of CLIP's frozen image encoder, and Grad-CAM through it."""

from dataclasses import dataclass

import torch
from mmengine.model import BaseModule
from mmseg.models.backbones.vit import TransformerEncoderLayer
from torch import Tensor, nn

from wsss_mm.functional.block_gradient import (
    attention_weights_gradient,
    feed_forward_gradient,
    self_attention,
)
from wsss_mm.functional.grad_cam import grad_cam, word_probabilities
from wsss_mm.models.backbones.clip_vit import ACTIVATION, EPS, NORM


@dataclass(frozen=True)
class WordCAMs:
    """What the last block says of one image and some words.

    Attributes:
        maps: Raw Grad-CAM of the first n words, shape (n, h, w).
        probabilities: Softmax over all words, shape (K,).
        feature: Of the image, comparable with words, shape (E,).
        attention: Mean over the heads, class token first, shape (N, N).
    """

    maps: Tensor
    probabilities: Tensor
    feature: Tensor
    attention: Tensor


class CLIPLastBlock(BaseModule):
    """Compare an image with words, and find the cells that speak for each.

    Block 12 of CLIP's image encoder, the norm behind it and the projection. Nothing of
    it learns; gradients go through it.

    Args:
        embed_dims: Width (D).
        num_heads: Attention heads.
        output_dims: Width of image and word features (E).
        scale: Factor of the cosines before the softmax.
        init_cfg: ``dict(type='Pretrained', checkpoint=..., prefix='last_block.')``.

    Reference:
        Radford et al., ICML 2021; Grad-CAM as in CLIP-ES, CVPR 2023.

    Note:
        The image's feature is the mean over its patches, not the class token, as in
        CLIP-ES.
    """

    def __init__(
        self,
        *,
        embed_dims: int = 768,
        num_heads: int = 12,
        output_dims: int = 512,
        scale: float = 100.0,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.scale = scale
        self.block = TransformerEncoderLayer(
            embed_dims,
            num_heads,
            4 * embed_dims,
            norm_cfg=NORM,
            act_cfg=ACTIVATION,
            # Its own, since MMSegmentation writes into its defaults.
            attn_cfg={},
            ffn_cfg={},
        )
        self.ln_post = nn.LayerNorm(embed_dims)
        self.proj = nn.Parameter(torch.empty(embed_dims, output_dims))
        nn.init.normal_(self.proj, std=embed_dims**-0.5)
        self.requires_grad_(False)

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Run the block.

        Args:
            tokens: Class token and patches of the last block but one, (B, N, D).

        Returns:
            Its tokens, shape (B, N, D), and its attention, mean over the heads, shape
            (B, 1, N, N).
        """
        attended, attention = self.attend(self.block.norm1(tokens))
        return self.feed(tokens + attended), attention.mean(dim=1, keepdim=True)

    def attend(self, normed: Tensor) -> tuple[Tensor, Tensor]:
        """Give the output of self-attention, (B, N, D), and its maps, (B, heads, N, N).

        Args:
            normed: Tokens behind the block's first norm, shape (B, N, D).
        """
        first = normed.transpose(0, 1)
        found, attention = self.block.attn.attn(
            first, first, first, average_attn_weights=False
        )
        return found.transpose(0, 1), attention

    def feed(self, attended: Tensor) -> Tensor:
        """Run the second half of the block, (..., D) to (..., D)."""
        fed: Tensor = self.block.ffn(self.block.norm2(attended), identity=attended)
        return fed

    def project(self, tokens: Tensor) -> Tensor:
        """Give what words are compared with: tokens (..., D) to features (..., E)."""
        return self.ln_post(tokens) @ self.proj

    def image_feature(self, tokens: Tensor) -> Tensor:
        """Average the features of the patches, tokens (..., N, D) to (..., E)."""
        return self.ln_post(tokens[..., 1:, :]).mean(dim=-2) @ self.proj

    @torch.no_grad()
    def word_cams(
        self, tokens: Tensor, words: Tensor, *, count: int, size: tuple[int, int]
    ) -> WordCAMs:
        """Find the cells of one image that speak for the first of some words.

        One pass forward, and one back for all words, through the patches' mean.

        Args:
            tokens: Class token and patches of the last block but one, shape (N, D).
            words: Unit vectors of the words that compete, shape (K, E).
            count: How many of them, from the first, get a map (n).
            size: (h, w) of the patches.
        """
        block, attn = self.block, self.block.attn.attn
        normed = block.norm1(tokens)
        attention = self_attention(
            normed,
            heads=attn.num_heads,
            in_proj_weight=attn.in_proj_weight,
            in_proj_bias=attn.in_proj_bias,
        )
        found = attention.outputs.transpose(0, 1).flatten(1)
        attended = tokens + attn.out_proj(found)
        fed, slope = self.feed_with_slope(attended)
        with torch.enable_grad():
            pooled = self.ln_post(fed[1:]).mean(dim=0).detach().requires_grad_()
            feature = pooled @ self.proj
            scores = word_probabilities(feature, words, scale=self.scale)
            gradients = gradients_of(scores[:count], pooled)
        first, second = block.ffn.layers[0][0], block.ffn.layers[1]
        gradients = feed_forward_gradient(
            gradients,
            attended,
            fed,
            slope,
            weights=(first.weight, second.weight),
            norms=(block.norm2.weight, self.ln_post.weight),
            eps=EPS,
        )
        weights = attention_weights_gradient(
            gradients,
            attention,
            in_proj_weight=attn.in_proj_weight,
            out_proj_weight=attn.out_proj.weight,
        )
        return WordCAMs(
            maps=grad_cam(normed[1:].T.unflatten(1, size), weights),
            probabilities=scores.detach(),
            feature=feature.detach(),
            attention=attention.weights.mean(dim=0),
        )

    def feed_with_slope(self, attended: Tensor) -> tuple[Tensor, Tensor]:
        """Run the second half, (N, D), and derive its activation, (N, 4 D)."""
        hidden, second = self.block.ffn.layers[0], self.block.ffn.layers[1]
        with torch.enable_grad():
            before = hidden[0](self.block.norm2(attended)).detach().requires_grad_()
            after = hidden[1](before)
            (slope,) = torch.autograd.grad(after.sum(), before)
        return attended + second(after.detach()), slope


def gradients_of(scores: Tensor, inputs: Tensor) -> Tensor:
    """Give the gradient of each score, (n,), with respect to inputs: (n, *inputs)."""
    if not len(scores):
        return inputs.new_zeros((0, *inputs.shape))
    last = len(scores) - 1
    return torch.stack(
        [
            torch.autograd.grad(score, inputs, retain_graph=i < last)[0]
            for i, score in enumerate(scores)
        ]
    )
