"""What does the network expect along a path?

Predictions of one digit differ from path to path by {early:.0%} of what the samples differ by where the noise level is
15, and by {late:.0%} where it is 0.5.

Early predictions are the mean picture of the class that drives the path; the details of one picture come where the
entropy has fallen.
"""

import specent as sp

runs, profiles = sp.open("digits.nc"), sp.open("digits_profiles.nc")
figure = sp.plot.predictions(runs, profiles, partition="full", estimator="path", guidance="unguided")

one = runs.sel(guidance="unguided")
spread = one.prediction.std("sample").mean(["class_label", "channel", "y", "x"]) / one.final.std("sample").mean()
early, late = spread.sel(prediction_time=[15, 0.5], method="nearest").values
