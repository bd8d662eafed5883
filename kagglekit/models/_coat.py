"""CoaT as an encoder of segmentation-models-pytorch.

timm's CoaT does not give its maps in the form that smp asks for, and works on images of one size
only: its blocks ask the patch embedding for the size it was built for. Its weights do not depend on
a size (positions are encoded by convolutions), so its layers are called here with the real one.
"""

from typing import Any

import torch
from torch import nn


class CoatEncoder(nn.Module):
    """The maps of a CoaT at strides 4, 8, 16 and 32, for windows of any multiple of 32.

    Args:
        name: of timm's: "coat_lite_medium", "coat_tiny" ...
        in_channels: of the image.
        pretrained: load timm's weights, from its cache or the network.
        depth: maps wanted by the decoder, the image counted as 0; 5 for all.
        output_stride: always 32.

    Source: Xu et al., Co-scale conv-attentional image transformers (2021).
    """

    def __init__(
        self,
        name: str,
        in_channels: int = 3,
        pretrained: bool = False,
        depth: int = 5,
        output_stride: int = 32,
    ) -> None:
        import timm

        super().__init__()
        net: Any = timm.create_model(
            name,
            pretrained=pretrained,
            in_chans=in_channels,
            return_interm_layers=True,  # no classifier, whose weights would never learn
            out_features=[],
        )
        self.net = net
        self.name, self.depth, self.output_stride = name, depth, output_stride
        for embed in self._stages("patch_embed"):
            embed.strict_img_size = False
        # smp counts from the image; at stride 2 there is a map without channels.
        self.out_channels = [in_channels, 0, *net.embed_dims][: depth + 1]

    def set_in_channels(self, in_channels: int, pretrained: bool = False) -> None:
        """Do nothing: the first layer was made for them."""

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        """Map (N, in_channels, H, W) to a list of (N, channels, H/2^i, W/2^i), the image first."""
        n, _, height, width = images.shape
        tokens, sizes = self._serial(images)
        if self.net.parallel_blocks is not None:
            tokens = self._parallel(tokens, sizes)
        maps = [images, images.new_empty((n, 0, height // 2, width // 2))]
        maps += [_as_map(t, size) for t, size in zip(tokens, sizes, strict=True)]
        return maps[: self.depth + 1]

    def _serial(self, images: torch.Tensor) -> tuple[list[torch.Tensor], list[tuple[int, int]]]:
        """Return the tokens (N, 1 + h·w, channels) of the four stages, and their (h, w)."""
        tokens, sizes, x = [], [], images
        stages = (self._stages(name) for name in ("patch_embed", "cls_token", "serial_blocks"))
        for embed, class_token, blocks in zip(*stages, strict=True):
            patch = embed.patch_size
            size = (x.shape[2] // patch[0], x.shape[3] // patch[1])
            t = embed(x)
            t = torch.cat([class_token.expand(len(t), -1, -1), t], dim=1)
            for block in blocks:
                t = block(t, size=size)
            tokens.append(t)
            sizes.append(size)
            x = _as_map(t, size)
        return tokens, sizes

    def _parallel(
        self, tokens: list[torch.Tensor], sizes: list[tuple[int, int]]
    ) -> list[torch.Tensor]:
        """Let the stages hear of each other; the first one stays as it is."""
        positions = self._stages("cpe")[1:]
        for block in self.net.parallel_blocks:
            first, *rest = tokens
            placed = [p(t, s) for p, t, s in zip(positions, rest, sizes[1:], strict=True)]
            tokens = list(block(first, *placed, sizes=sizes))
        return tokens

    def _stages(self, name: str) -> list[Any]:
        return [getattr(self.net, f"{name}{stage}") for stage in (1, 2, 3, 4)]


def _as_map(tokens: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Return (N, 1 + h·w, channels) as (N, channels, h, w), without the class token."""
    n, _, channels = tokens.shape
    return tokens[:, 1:].transpose(1, 2).reshape(n, channels, *size).contiguous()
