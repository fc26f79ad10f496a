"""How do trajectories find their class?

Half of "which of the three?" is decided at a noise level of {half:.2f}: above it the density has one hill and the
trajectories stay together, below it they part.
"""

import specent as sp

mix = sp.exact.GaussianMixture([[-3.0, 0.0], [3.0, 0.0], [0.0, 4.0]], labels=["left", "right", "top"])
time = sp.schedules.edm_grid(48, 0.05, 40.0)
runs = sp.sample(
    sp.models.mixture(mix),
    schedule=sp.schedules.VE(),
    time=time,
    samples=40,
    partitions="full",
    record=sp.Record(predictions=time),
    progress=False,
)
figure = sp.plot.paths(runs, mix)

half = sp.speciation(sp.entropy(runs, estimator="path"), axis="sigma").half_entropy.item()
