"""Is the transition sharper in many dimensions?

On the time divided by ln(d)/2 all {count} curves cross 1 at {crossing:.3f} bit, and steepen with the dimension d.
"""

import numpy as np

import specent as sp

sweep = sp.open("gmm_scaling.nc")
figure = sp.plot.rescaled(sweep, law="log")

vp = sp.on_schedule(sweep, sp.schedules.VP()).entropy.squeeze()
at = [vp.sel(dimension=d).interp(time=np.log(d) / 2).item() for d in vp.dimension]
count, crossing = len(at), np.mean(at)
