"""How does the moment of decision grow with dimension?

The half-entropy time of two components grows with ln(d)/2 under VP, with a slope of {slope:.6f} from {first:.0f} to
{last:.0f} dimensions.
"""

import specent as sp

sweep = sp.on_schedule(sp.open("gmm_scaling.nc"), sp.schedules.VP())
summary = sp.speciation(sweep.sel(dimension=sweep.dimension >= 256), axis="time")
fit = sp.fit_scaling(summary, law="log")
figure = sp.plot.scaling(summary, fit)

slope, (first, last) = fit.slope.item(), summary.dimension.values[[0, -1]]
