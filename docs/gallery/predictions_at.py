"""What does the denoiser see at one noise level?

At a noise level of {level:.2f}, predictions of a digit differ from sample to sample by {share:.0%} of what the samples
themselves differ by.

Halfway through the decision the digit can be seen, and details are still blurred.
"""

import specent as sp

runs = sp.open("digits.nc").sel(guidance=["unguided"])
figure = sp.plot.predictions_at(runs, -0.5, most=6)

# a log-SNR of -0.5 is a noise level of 1.28
seen = runs.prediction.sel(prediction_time=1.28, method="nearest")
level = seen.prediction_time.item()
share = (seen.std("sample").mean() / runs.final.std("sample").mean()).item()
