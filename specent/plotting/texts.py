"""Words of a page: how to read each figure, and the frame of the document."""

from __future__ import annotations

HOW_TO_READ = """<p class="lead">How uncertain it is which side of a partition a noisy sample belongs to, in bits, while
noise turns into data. Arrows in the axis labels point in the direction of generation. Where a curve falls, the
samples decide. Colours tell partitions (or guidance settings, or ambient dimensions) apart, dashes tell estimators
apart, black dashed curves are exact references, bands are intervals of uncertainty. Runs that are compared differ in
colour, dash or width, and the legend names them. A figure shows the stretch on which its curves change.</p>"""

HOW_TO_USE = (
    """<p class="lead">Click an entry of a legend to hide its curve; drag a figure to see the rest of it.</p>"""
)

ENTROPY = (
    "Conditional entropy: the full uncertainty of the partition at the noise end, zero where every sample has "
    "decided. Estimators of unguided runs that lie apart by more than their bands say that the model or the "
    "discretisation is off; under guidance the cross-entropy of the driver falls earlier than the entropy by design. "
    "The denoiser gap is an integral: errors made at high noise stay in its tail. Grey crosses mark values that no "
    "entropy can have: below 0, or above that of even sides, by more than their interval."
)
RATE = (
    "Entropy rate: where uncertainty is resolved. The position of a peak depends on the axis along which the rate is "
    "taken, which the label names; over that axis the area under a curve is the entropy."
)
RESCALED = (
    "The same entropy over raw and over rescaled time. Curves of larger dimension (lighter) decide at higher noise; "
    "over time in units of the predicted speciation time they cross at 1."
)
WINDOWS = (
    "Transition windows (bars): where the entropy falls from the upper to the lower level, 60 to 40 % of its start if "
    "not set otherwise. Dots are half-entropy noise levels (or times) with their intervals, diamonds are peaks of "
    "the rate, whose position depends on the axis and lies outside the window on most. The further on the noise side, "
    "the earlier in generation the side is decided. Where a curve never falls to a level, its mark is left out."
)
PAIR_MATRIX = (
    "The noise level (or time) at which the entropy of a pair of labels is half its start. Unlike labels part at "
    "higher noise than like ones: they are decided earlier in generation. A pair whose "
    "entropy never falls to half is grey with a dash; grey without one are the diagonal and pairs not analysed."
)
SCALING = (
    "Half-entropy noise level or time over the ambient dimension, with the fitted law and its residuals. Bars are "
    "intervals."
)
PREDICTIONS = (
    "What the denoiser of the driving class takes the clean data to be, along one path of each class; the curve above "
    "is the mean over all runs. The class is given to the denoiser, so that even the first picture shows it: the "
    "curve says when the path itself gives the class away. A picture is centred on the noise at which it was "
    "predicted."
)
GUIDANCE_EFFECT = (
    "What guidance changes, along the same noise: above zero the guided runs produce more than the unguided ones, "
    "below it less. Curves are medians over the partitions, their intervals dark, the quartiles pale; a single "
    "partition is drawn with its interval. Bars at the foot mark the noise levels at which each setting guides."
)
QUALITY = (
    "Quality of the final samples in a feature space, a row per guidance setting, with intervals; the dashed line is "
    "the unguided value. Precision says how many samples lie where the data lie, recall how much of the data is "
    "reached, accuracy how many are taken for their class. Dots of the Fréchet distance are extrapolated to many "
    "samples, diamonds are distances of the samples as they are, larger by a bias that shrinks with their number."
)

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>{title}</title>
<style>
body {{ font: 15px/1.5 "DejaVu Sans", Verdana, sans-serif; color: #222; background: #fff; margin: 24px; }}
body {{ width: max-content; }}
h1 {{ font-size: 22px; margin: 0 0 8px; }}
h2 {{ font-size: 18px; margin: 40px 0 6px; padding-top: 10px; border-top: 2px solid #ccc; }}
h3 {{ font-size: 14px; margin: 18px 0 4px; }}
summary {{ cursor: pointer; margin: 6px 0; }}
p, figcaption, dl {{ max-width: 860px; }}
figure {{ margin: 18px 0; }}
figcaption {{ margin-bottom: 6px; }}
table {{ border-collapse: collapse; font-size: 13px; }}
th, td {{ padding: 3px 12px; text-align: right; border-bottom: 1px solid #ddd; font-variant-numeric: tabular-nums; }}
th:first-child, td:first-child {{ text-align: left; }}
footer details {{ max-width: 860px; }}
.remarks {{ max-width: 860px; padding: 6px 12px 6px 28px; border-left: 4px solid #D55E00; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; font-size: 12px; }}
dt {{ font-weight: bold; }} dd {{ margin: 0 0 4px 16px; overflow-wrap: anywhere; }}
footer {{ margin-top: 32px; font-size: 13px; color: #444; }}
</style>
{scripts}
</head>
<body>
{body}
{script}
<script>
(function measure(left) {{
  const blocks = [...document.querySelectorAll("[data-root-id]")];
  const drawn = blocks.every((block) => block.childElementCount > 0) && Bokeh.documents.every((one) => one.is_idle);
  if (drawn) {{
    document.body.dataset.width = Math.ceil(document.body.scrollWidth + 48);
    document.body.dataset.height = Math.ceil(document.documentElement.getBoundingClientRect().height + 48);
    document.body.dataset.drawn = blocks.length;
  }} else if (left > 0) setTimeout(measure, 50, left - 1);
}})(300);
</script>
</body>
</html>
"""
