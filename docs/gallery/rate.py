"""How fast is a digit decided?

The rate of "{first}, or another digit?" peaks at a noise level of {highest:.2f}, and that of "{last}, or another
digit?" at one of {lowest:.2f}.

The rate is taken along the axis that the label names, log-SNR: on another axis the peaks stand elsewhere.
"""

import numpy as np

import specent as sp

profiles = sp.open("digits_profiles.nc").sel(estimator=["denoiser_gap"], guidance=["unguided"])
profiles = profiles.sel(partition=["0 | rest", "1 | rest", "8 | rest"])
figure = sp.plot.rate(profiles, title="How fast is a digit decided?")

peaks = np.exp(-sp.speciation(profiles, axis="log_snr").peak.squeeze() / 2).to_series().sort_values()
first, last = peaks.index[-1].split()[0], peaks.index[0].split()[0]
highest, lowest = peaks.iloc[-1], peaks.iloc[0]
