"""CLIP's features of words, each computed once and kept."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from mmseg.models.text_encoder.clip_text_encoder import CLIPTextEncoder
from mmseg.utils import tokenizer
from torch import Tensor, nn

from wsss_mm.checkpoints.checkpoint_file import read_checkpoint
from wsss_mm.checkpoints.weights import digest_of, weights_in
from wsss_mm.io.atomic import atomic_write
from wsss_mm.models.text.class_words import checked_templates
from wsss_mm.utils.errors import InputError
from wsss_mm.utils.logging import LOGGER

CONTEXT = 77
PREFIX = 'text_encoder.'
# So many prompts go through the encoder at once.
BATCH = 64


class WordFeatures:
    """Turn words into unit vectors that image features are compared with.

    MMSegmentation's text encoder is built when a word is new, and let go afterwards:
    its 63 million parameters are no part of a network or its checkpoints.

    Args:
        encoder: Arguments of MMSegmentation's ``CLIPTextEncoder`` that differ from
            those of ViT-B/16: ``embed_dims``, ``num_layers``, ``num_heads``,
            ``output_dims``.
        checkpoint: File that ``wsss convert`` wrote; None starts from random weights,
            the same every time, which only a test wants.
        templates: Prompts; a word goes where ``{}`` stands, and features are averaged
            over the prompts.
        cache_dir: Folder that keeps features for other processes and later runs, in a
            file for each text encoder and set of templates; None keeps them in memory.

    Raises:
        InputError: If a template is none.

    Reference:
        The zero-shot classifier of Radford et al., ICML 2021.
    """

    def __init__(
        self,
        *,
        encoder: dict[str, Any] | None = None,
        checkpoint: str | None = None,
        templates: Sequence[str] = ('a photo of a {}.',),
        cache_dir: str | None = None,
    ) -> None:
        self.encoder = dict(encoder or {})
        self.checkpoint = checkpoint
        self.templates = checked_templates(templates)
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        self.known: dict[str, Tensor] = {}

    def __call__(self, words: Sequence[Sequence[str]]) -> Tensor:
        """Give the features of several sets of words.

        Args:
            words: Per class its words, at least one.

        Returns:
            Unit vectors, shape (n, E): the mean over the words of a class.

        Raises:
            InputError: If the checkpoint does not fit, or a prompt is longer than CLIP
                reads.
        """
        self.learn(dict.fromkeys(word for several in words for word in several))
        means = [torch.stack([self.known[w] for w in ws]).mean(dim=0) for ws in words]
        return F.normalize(torch.stack(means), dim=-1)

    def learn(self, words: Sequence[str] | dict[str, None]) -> None:
        """Compute the features of the words that are new."""
        if all(word in self.known for word in words):
            return
        encoder = self.build()
        kept = None if self.cache_dir is None else self.cache_file(encoder)
        if kept is not None:
            self.known.update(read_kept(kept))
        new = [word for word in words if word not in self.known]
        if not new:
            return
        for start in range(0, len(new), BATCH):
            part = new[start : start + BATCH]
            self.check_length(part)
            self.known.update(zip(part, encoder.template_encode(part)))
        if kept is not None:
            write_kept(kept, self.known)

    def build(self) -> CLIPTextEncoder:
        """Build the text encoder and load its weights."""
        # It names QuickGELU without a scope.
        with DefaultScope.overwrite_default_scope('mmseg'):
            encoder = CLIPTextEncoder(
                vocabulary=[],
                templates=list(self.templates),
                cat_bg=False,
                cache_feature=False,
                **self.encoder,
            )
        if self.checkpoint is None:
            fill_randomly(encoder)
        else:
            load_text_encoder(encoder, self.checkpoint)
        return encoder.eval()

    def check_length(self, words: Sequence[str]) -> None:
        """Refuse words that the tokenizer would cut without a word.

        Raises:
            InputError: If a prompt has more tokens than CLIP reads.
        """
        for template in self.templates:
            prompts = [template.format(word) for word in words]
            tokens = tokenizer.tokenize(prompts, context_length=CONTEXT + 1)
            for prompt, longer in zip(prompts, tokens[:, CONTEXT].tolist()):
                if longer:
                    raise InputError(
                        f'the prompt {prompt[:60]!r}... has more than {CONTEXT} '
                        'tokens; CLIP reads no more, use fewer words'
                    )

    def cache_file(self, encoder: nn.Module) -> Path | None:
        """Name the file that keeps features of this encoder and these templates."""
        if self.cache_dir is None:
            return None
        key = json.dumps([digest_of(encoder.state_dict()), self.templates])
        return self.cache_dir / f'{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz'


def load_text_encoder(encoder: nn.Module, checkpoint: str) -> None:
    """Load the text encoder of a file that ``wsss convert`` wrote.

    Raises:
        InputError: If the file is missing, damaged, or holds another text encoder.
    """
    given = weights_in(read_checkpoint(checkpoint, lazily=True), checkpoint)
    own = encoder.state_dict()
    part = {name: given[PREFIX + name] for name in own if PREFIX + name in given}
    wrong = [name for name in own if name not in part]
    wrong += [name for name in part if part[name].shape != own[name].shape]
    if wrong:
        raise InputError(
            f'{checkpoint}: no text encoder of CLIP that fits ({len(wrong)} of '
            f'{len(own)} tensors of {PREFIX}* are missing or differ, {wrong[0]} for '
            'one); make the file with: wsss convert ViT-B-16.pt FILE'
        )
    encoder.load_state_dict(part)


def fill_randomly(encoder: CLIPTextEncoder) -> None:
    """Give an encoder the random weights that CLIP's training starts from."""
    generator = torch.Generator().manual_seed(0)
    for name, parameter in encoder.named_parameters():
        if parameter.ndim > 1:
            std = parameter.shape[-1] ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * std)
        elif parameter.ndim == 1:
            parameter.fill_(float(name.endswith('weight')))


def read_kept(path: Path) -> dict[str, Tensor]:
    """Read kept features by word; none if there is no such file, or it is damaged."""
    if not path.is_file():
        return {}
    try:
        with np.load(path, allow_pickle=False) as kept:
            words, features = kept['words'].tolist(), torch.from_numpy(kept['features'])
    except Exception as error:  # a damaged file can raise anything
        LOGGER.warning(f'{path}: not read ({error}); its features are computed again')
        return {}
    if features.ndim != 2 or len(words) != len(features):
        LOGGER.warning(f'{path}: not read; its features are computed again')
        return {}
    return dict(zip(words, features))


def write_kept(path: Path, features: dict[str, Tensor]) -> None:
    """Keep features by word."""
    with atomic_write(path) as part:
        np.savez(
            part,
            words=np.array(list(features)),
            features=torch.stack(list(features.values())).numpy(),
        )
