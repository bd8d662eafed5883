"""The bars that kagglekit.inference has to hold, computed from what one run measured."""

from collections.abc import Iterator

from inference_cases import Case
from inference_peers import PEERS

Measured = dict[str, dict[str, float]]  # contestant: its figures

LARGEST = ("tiled", "pages", "striped")
US = "kagglekit"


def table(results: dict[Case, Measured], equal, limited) -> Iterator[str]:
    """Yield one line per bar of which the figures are there.

    Args:
        results: what each case measured.
        equal: rows of `inference_equal.tiled_equals_untiled`, or None.
        limited: what `inference_limit.run` returned, or None.
    """
    for case, measured in results.items():
        if US in measured:
            yield from of_case(case, measured)
    if equal is not None:
        yield from of_equality(equal)
    if limited is not None:
        came = limited.get("failed", f"{limited.get('wall', 0):.0f} s, {limited.get('how')}")
        yield line(
            "50,680 × 39,960, scale 1, identity network",
            "completes within 2 GB",
            came,
            "failed" not in limited and limited["enforced"],
        )


def of_case(case: Case, measured: Measured) -> Iterator[str]:
    us = measured[US]
    if case in (Case("small", "unet"), Case("large", "unet")):
        where = f"U-Net, {case.shape[1]:,} × {case.shape[0]:,}"
        networks = [one["wall"] for name, one in measured.items() if alone(name)]
        if networks:
            yield at_most(where, us["wall"] / min(networks), 1.12, "× network alone")
        yield from against_peers(where, measured, 1.7)
        if case.slide == "small":
            yield at_most(where, us["peak"], 140, "MB above the loaded model")
    if case == Case("small", "identity"):
        where = "identity network, 12,000 × 9,000"
        yield from against_peers(where, measured, 2.2)
        if "decoding alone" in measured:
            ratio = us["wall"] / measured["decoding alone"]["wall"]
            yield at_most(where, ratio, 2.5, "× decoding alone")
        yield at_most(where, us["differ"], 0, "px differ from the whole image")
    elif case.slide == "small":
        where = f"U-Net, 12,000 × 9,000, scale {case.scale}, overlap {case.overlap}"
        if case.overlap == 64:
            yield at_most(where, us["differ"], 2, "px differ from the whole image")
            yield at_most(where, us["border"], 0, "of them within 4 px of the border")
    if case.slide in LARGEST:
        where = f"50,680 × 39,960 ({case.slide}), scale 4"
        yield at_most(where, us["peak"], 200, "MB above the loaded model")
        if "decoding alone" in measured:
            floor = measured["decoding alone"]
            # It decodes each block once. Headers and the index of the blocks, which each handle
            # reads, make it a little more than the file.
            bytes_read = us["times"] / floor["times"]
            yield at_most(where, bytes_read, 1.01, "× the bytes that decoding alone reads")
            yield at_most(where, us["wall"] / floor["wall"], 1.4, "× decoding alone")


def alone(name: str) -> bool:
    """Tell whether it is the network alone on as many threads as the contestants have."""
    return name.startswith("network") and "1 thread" not in name


def against_peers(where: str, measured: Measured, factor: float) -> Iterator[str]:
    """Compare with the fastest peer."""
    peers = {name: measured[name]["wall"] for name in PEERS if name != US and name in measured}
    if peers:
        fastest = min(peers, key=peers.__getitem__)
        ratio = peers[fastest] / measured[US]["wall"]
        bar = f"≥ {factor:g} × faster than every peer"
        yield line(where, bar, f"{ratio:.2f} × ({fastest})", ratio >= factor)


def of_equality(rows) -> Iterator[str]:
    """Judge rows of `inference_equal.tiled_equals_untiled`."""
    groups = {
        "U-Net, odd sizes, dead margin covers the reach": (
            0,
            [row for row in rows if row[0] == "unet" and row[2] == 64],
        ),
        "U-Net, odd sizes, overlap 32": (
            2,
            [row for row in rows if row[0] == "unet" and row[2] == 32],
        ),
        "identity network, odd sizes, every TTA": (
            0,
            [row for row in rows if row[0] == "identity"],
        ),
    }
    for where, (bar, group) in groups.items():
        differ = max(row[5] for row in group)
        apart = max((row[7] for row in group if row[5]), default=0)
        measured = f"{differ}, {apart:.1e} from the threshold" if differ else "0"
        unit = "px differ from the whole image"
        yield line(where, f"≤ {bar:g} {unit}", measured, differ <= bar)
        yield at_most(where, max(row[6] for row in group), 0, "of them within 4 px of the border")


def at_most(where: str, value: float, most: float, unit: str) -> str:
    return line(where, f"≤ {most:g} {unit}", f"{value:.4g}", value <= most)


def line(where: str, bar: str, measured: str, met: bool) -> str:
    return f"| {where} | {bar} | {measured} | {'yes' if met else '**no**'} |"
