"""Patch-based inference: the memory-hungry first stage of a net is run patch by patch, or band by band."""

from collections.abc import Callable

from edgesmith.compile.patch.search import Choice, Measure, search
from edgesmith.core.card import Card, Claim, Source, method
from edgesmith.core.graph import Graph


@method(
    Card(
        name="mcunetv2",
        does="runs the first stage of a net patch by patch, or in bands with line buffers, to meet a RAM limit",
        source=Source("Lin et al.", 2021, "arXiv:2110.15352"),
        claims=(
            Claim("a patched program gives every value of the unpatched one", test="test_patches_change_no_value"),
            Claim("line buffers compute nothing twice", test="test_lines_add_no_work"),
            Claim(
                "MobileNetV2 at 224 in an eighth of its peak memory, as the paper counts it, for a tenth more work",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
            Claim(
                "the linked arena of MobileNetV2 at 224 is as small (here 198 kB, the image apart: does not hold)",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
            Claim(
                "the authors' person detector runs within 32 kB of SRAM (here 34 kB: does not hold)",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
            Claim(
                "MobileNetV2-0.35 at 64 runs within 32 kB of SRAM (here 26 kB)",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
            Claim(
                "patches let in a net that is a point more accurate than what fits without (here 0.8: does not hold)",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
            Claim(
                "redistributing the receptive field makes the halos cheaper at the same accuracy",
                experiment="benchmarks/claims/compile/mcunetv2.py",
            ),
        ),
        omits=(
            "the joint search of architecture and schedule; the schedule of a given net is searched",
            "decoding the image patch by patch from a compressed file: the whole image is an input",
        ),
    )
)
def mcunetv2(measure: Measure, limit_bytes: int) -> Callable[[Graph], Choice]:
    """Choose the schedule that meets a limit at the least extra work; see `search`."""
    return lambda graph: search(graph, measure, limit_bytes)
