"""When does a hierarchy of four components split?

Half of "which of the two far groups?" is decided at a log-SNR of {far:.2f}, and of "which of the
two near components?" at {near:.2f}.

Thin dashed curves are exact; the others are measured along sampled paths.
"""

import specent as sp

profiles = sp.open("gmm_1d.nc").sel(estimator=["exact", "path"])
figure = sp.plot.entropy(profiles, axis="log_snr", title="A hierarchy of four components on a line")

half = sp.speciation(profiles.sel(estimator=["exact"]), axis="log_snr").half_entropy.squeeze()
far, near = (float(half.sel(partition=name)) for name in ("left | right", "-1.2 | -0.8"))
