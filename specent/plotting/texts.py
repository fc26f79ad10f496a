"""Words of a page: how to read each figure, and what it is called."""

from __future__ import annotations

ENTROPY = (
    "Conditional entropy: the full uncertainty of the partition at the noise end, zero where every sample has "
    "decided. Estimators of unguided runs that lie apart by more than their bands say that the model or the "
    "discretisation is off; under guidance the cross-entropy of the driver falls earlier than the entropy by design. "
    "The denoiser gap is an integral: errors made at high noise stay in its tail. Grey crosses mark values that no "
    "entropy can have: below 0, or above that of even sides, by more than their interval. Lines with triangles: where "
    "the drift of a mixture bifurcates (upright), and where its covariance predicts speciation (inverted)."
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
    "higher noise than like ones: they are decided earlier in generation. Matrices beside each other share one scale "
    "of colours; of two the third is the second less the first, white where they agree. A pair whose entropy never "
    "falls to half is grey; the diagonal and pairs that were not analysed are blank."
)
TREE = (
    "When classes part, read from left to right: a branch splits at the noise level at which its classes are told "
    "apart, the mean half-entropy noise level over all pairs of a class here and a class there (average linkage). "
    "Pictures are final samples of the classes. Dashed merges are upper bounds: a pair there never falls to half. "
    "Bars are intervals: the means of the bounds of the pairs, at least as wide as the interval of their mean."
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
SAMPLES = (
    "Final samples, a row per class and a block of columns per guidance setting. Samples in the same column of two "
    "settings share their random numbers, so that what differs is due to guidance. All are shaded alike."
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

HEADINGS = {
    "entropy": "When is it decided?",
    "scaling": "How does the transition scale with the dimension?",
    "tree": "In which order do the classes part?",
    "predictions": "What does the model predict on the way?",
    "rate": "How fast is it decided?",
    "guidance_effect": "What does guidance change?",
    "quality": "How good are the samples?",
    "pair_matrix": "When do two classes part?",
    "windows": "When does each transition begin and end?",
    "rescaled": "Do the curves collapse over rescaled time?",
    "paths": "Where do trajectories go?",
    "posteriors": "What do single trajectories decide?",
    "samples": "What are the finished samples?",
    "class_production": "Which classes does guidance change?",
    "disagreement": "Do the estimators agree?",
    "reliability": "Is the posterior right?",
    "returns": "How often does a trajectory return to its side?",
}
"""What a figure without a title of its own is called on a page, the most telling figures first."""
