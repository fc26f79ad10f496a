"""Where do the estimators disagree?

The denoiser gap and the cross-entropy of the digits differ from the path estimate by at most {largest:.2f} bit of 3.32,
near a noise level of {level:.2f}.

Where they part by more than their intervals, finite steps or the network are off.
"""

import numpy as np

import specent as sp

profiles = sp.open("digits_profiles.nc")
figure = sp.plot.disagreement(profiles, partition="full", guidance="unguided")

table = sp.plot.disagreement(profiles, partition="full", guidance="unguided", data=True)
worst = table.loc[table["entropy_difference"].abs().idxmax()]
largest, level = abs(worst["entropy_difference"]), np.exp(-worst["log_snr"] / 2)
