"""The U-Net of the tutorials, small enough to read in a minute.

Source: Ronneberger, Fischer, Brox: U-Net (2015), with batch normalisation and padded convolutions
as in the Carvana and Data Science Bowl tutorials.
"""

import torch
import torch.nn.functional as F
from torch import nn

from kagglekit.models._aspp import ASPP


def _double_conv(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


class UNet(nn.Module):
    """Encoder, bottleneck, decoder, with a skip at every level.

    Args:
        in_channels: channels of the input.
        classes: planes of the output.
        width: channels at full resolution; doubled at each level down. The tutorials use 64.
        depth: number of halvings; the total stride is 2**depth. The tutorials use 4.
        aspp: look at the deepest map through several sizes of view.
        deep_supervision: in training mode, an output at every level of the decoder but the last.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        width: int = 64,
        depth: int = 4,
        *,
        aspp: bool = False,
        deep_supervision: bool = False,
    ) -> None:
        super().__init__()
        widths = [width * 2**level for level in range(depth + 1)]
        self.down = nn.ModuleList(
            _double_conv(inputs, outputs)
            for inputs, outputs in zip([in_channels, *widths], widths, strict=False)
        )
        self.grow = nn.ModuleList(
            nn.ConvTranspose2d(w * 2, w, 2, stride=2) for w in reversed(widths[:-1])
        )
        self.up = nn.ModuleList(_double_conv(w * 2, w) for w in reversed(widths[:-1]))
        self.head = nn.Conv2d(width, classes, 1)
        self.aspp = ASPP(widths[-1]) if aspp else nn.Identity()
        coarse = reversed(widths[1:-1]) if deep_supervision else ()
        self.side_heads = nn.ModuleList(nn.Conv2d(w, classes, 1) for w in coarse)

    def forward(self, images: torch.Tensor) -> torch.Tensor | list[torch.Tensor]:
        """Map (N, in_channels, H, W) to logits (N, classes, H, W); any H and W of 2**depth up.

        With deep supervision and in training mode, a list: the logits, then those of the coarser
        levels, (N, classes, H/2^level, W/2^level), the coarsest first.
        """
        skips = []
        x = images
        for level, block in enumerate(self.down):
            x = block(
                x if level == 0 else F.max_pool2d(x, 2)
            )  # (N, w*2^level, H/2^level, W/2^level)
            skips.append(x)
        x = self.aspp(skips.pop())  # the bottleneck is not its own skip
        levels = []
        for grow, block in zip(self.grow, self.up, strict=True):
            skip = skips.pop()
            x = grow(x)
            if x.shape[2:] != skip.shape[2:]:  # an odd side lost a row or column on the way down
                x = F.interpolate(x, skip.shape[2:], mode="nearest")
            x = block(torch.cat([skip, x], dim=1))
            levels.append(x)
        logits: torch.Tensor = self.head(x)
        if not (self.training and self.side_heads):
            return logits
        return [logits, *(head(x) for head, x in zip(self.side_heads, levels, strict=False))]
