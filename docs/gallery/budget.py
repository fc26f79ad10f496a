"""Which split of a hierarchy is decided at which noise?

"{first}" produces most at a noise level of {early:.1f}, "{last}" at one of {late:.2f}; all together produce
{bits:.2f} bit.

Eight components on a line, in pairs of pairs. Over log-SNR the area of a split is its information; the line is that of
all eight, estimated from other data.
"""

import numpy as np

import specent as sp

names = [*"abcdefgh"]
means = np.array([[i + j + k] for i in (-16.0, 16.0) for j in (-4.0, 4.0) for k in (-1.0, 1.0)])
mix = sp.exact.GaussianMixture(means, 0.05, labels=names)
halves = sp.Partition.groups({"abcd": names[:4], "efgh": names[4:]})
pairs = sp.Partition.groups({"ab": names[:2], "cd": names[2:4], "ef": names[4:6], "gh": names[6:]})
runs = sp.sample(
    sp.models.mixture(mix),
    schedule=sp.schedules.VE(),
    time=sp.schedules.edm_grid(80, 0.05, 80.0),
    samples=150,
    partitions="full",
    progress=False,
)
budget = sp.chain(runs, [halves, pairs, "full"], estimator="path")
figure = sp.plot.budget(budget)

rates = budget.contribution_rate.squeeze().transpose("split", "time")
peaks = np.exp(-budget.log_snr.values[rates.values.argmax(axis=1)] / 2)
first, early, last, late = rates.split.values[0], peaks[0], rates.split.values[-1], peaks[-1]
bits = float(-budget.budget_rate.sel(level="full").squeeze().integrate("log_snr"))
