"""What does guidance do to the rate of decision?

Guidance of scale 2 raises the median rate of decision by up to {most:.2f} bit per log-SNR, at a noise level of
{above:.1f}, and lowers it by up to {least:.2f} at one of {below:.1f}: decisions move to higher noise.

Median and quartiles over the ten digits against the rest, of the differences to the unguided trajectories of the same
noise; a setting guides at the noise levels of its bar.
"""

import specent as sp

differences = sp.open("digits_guidance_differences.nc").sel(estimator=["path"])
figure = sp.plot.guidance_effect(differences)

median = differences.median_entropy_rate_difference.sel(guidance="w=2").squeeze().to_series()
most, above, least, below = median.max(), median.idxmax(), -median.min(), median.idxmin()
