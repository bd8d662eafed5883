"""Tiled equals untiled, at odd sizes; and the proof that the benchmark's own answers are right."""

from pathlib import Path

import numpy as np
import torch
from inference_cases import (
    THRESHOLD,
    Case,
    build,
    differing,
    edges_of,
    edges_of_text,
    pixels_between,
    probabilities,
    right_answer,
)
from inference_peers import PEERS
from inference_slides import slide

from kagglekit.inference import predict_mask
from kagglekit.slides import open_slide

ODD = ("odd-1", "odd-2", "odd-3")


def tiled_equals_untiled(cache: Path, say) -> list[tuple]:
    """Compare kagglekit's masks with the whole image's, and print the table.

    Returns:
        Rows of network, scale, overlap, TTA, shape, pixels that differ, of them at the border, and
        how far from the threshold the whole image's probability is at most where they differ.
    """
    say("\n## Tiled and untiled, odd sizes\n")
    say("| network | scale | overlap | TTA | image | differ | at the border | from the threshold |")
    say("|---|---:|---:|---|---|---:|---:|---:|")
    rows = []
    plain = [("unet", scale, overlap, "none") for scale in (1, 4) for overlap in (64, 32)]
    turned = [("identity", 1, 64, tta) for tta in ("none", "flips", "d4")]
    for net, scale, overlap, tta in plain + turned:
        for name in ODD:
            case = Case(name, net, scale, 256, overlap)
            with open_slide(slide(name, cache)) as image:
                mask = predict_mask(
                    build(case, cache), image, min_overlap=overlap, tta=tta, progress=False
                )
            edges, found = right_answer(case, cache), edges_of_text(mask.to_text())
            counts = differing(edges, found, case.shape)
            apart = from_the_threshold(case, cache, *pixels_between(edges, found, case.shape))
            rows.append((net, scale, overlap, tta, case.shape, *counts, apart))
            height, width = case.shape
            say(
                f"| {net} | {scale} | {overlap} | {tta} | {width:,} × {height:,} |"
                f" {counts[0]:,} | {counts[1]:,} | {'' if apart is None else f'{apart:.1e}'} |"
            )
    return rows


def from_the_threshold(case: Case, cache: Path, y: np.ndarray, x: np.ndarray) -> float | None:
    """Return how far the whole image's probability is from the threshold at most at some pixels."""
    if not len(y):
        return None
    bands = probabilities(build(case, cache), slide(case.slide, cache), case)
    whole = np.concatenate([prob for _, prob in bands])
    return float(abs(whole[y, x] - THRESHOLD).max())


def check(cache: Path) -> int:
    """Prove the harness on small slides; return 0, or 1 if anything is wrong.

    The right answer, made in bands, must equal one really untiled run; with the identity network
    every contestant must give it to the pixel. Pixels that differ must be found where they are.
    """
    one, two = np.random.default_rng(0).integers(0, 2, (2, 37, 53), np.uint8)
    found = np.zeros(one.shape, bool)
    found[pixels_between(edges_of(one), edges_of(two), one.shape)] = True
    wrong = int((found != (one != two)).sum())
    print(f"of {(one != two).sum()} pixels that differ {wrong} found elsewhere", flush=True)
    for name in ODD:
        for net, scale in (("unet", 1), ("unet", 4), ("identity", 1)):
            case = Case(name, net, scale, 256)
            model, path = build(case, cache), slide(name, cache)
            [(_, whole)] = probabilities(model, path, case, band=case.shape[0])
            bands = torch.cat(
                [torch.from_numpy(prob) for _, prob in probabilities(model, path, case, band=128)]
            ).numpy()
            apart = abs(whole - bands).max()
            edges = edges_of(whole > THRESHOLD)
            pixels = differing(edges, edges_of(bands > THRESHOLD), case.shape)[0]
            pixels += differing(edges, right_answer(case, cache), case.shape)[0]
            print(f"{case}: bands and whole {apart:.1e} apart, {pixels} px differ", flush=True)
            wrong += pixels
    case = Case("odd-1", "identity")
    for who, peer in PEERS.items():
        text = peer.run(build(case, cache), slide(case.slide, cache), case)
        pixels = differing(right_answer(case, cache), edges_of_text(text), case.shape)[0]
        print(f"{case}: {who}: {pixels} px differ", flush=True)
        wrong += pixels
    print("the harness is right" if wrong == 0 else "the harness is WRONG")
    return int(wrong > 0)
