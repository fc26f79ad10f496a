"""Does a profile belong to a model?

Of one and the same mixture, half of "which of the six?" is decided at a noise level of {six:.1f}, and half of "A or
B?", a near pair, at {pair:.1f}: a profile belongs to a partition.
"""

import specent as sp

profiles = sp.open("gmm_partition.nc").sel(estimator=["exact", "denoiser_gap"])
figure = sp.plot.rate(profiles, title="All labels, and a near pair")

half = sp.speciation(profiles.sel(estimator=["exact"]), axis="sigma").half_entropy.squeeze()
six, pair = half.values
