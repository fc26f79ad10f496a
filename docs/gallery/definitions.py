"""What does "decided" mean?

By the first of these definitions the side of two components is decided at a noise level of {first:.2f} ({name}), by the
last at {last:.2f} ({other}).

Papers take different points of one transition. For two components of one width each is a constant near 1 in units of
half their distance, here 8.
"""

import specent as sp

mix = sp.exact.GaussianMixture([[-8.0], [8.0]], labels=["left", "right"])
schedule, time = sp.schedules.VE(), sp.schedules.edm_grid(80, 0.5, 200.0)
truth = sp.exact.profiles(mix, schedule, time, "full")
exact = sp.analysis.definitions(truth, sp.exact.u_turns(mix, schedule, time, "full"))

model, shared = sp.models.mixture(mix), {"schedule": schedule, "time": time, "samples": 200, "progress": False}
runs = sp.sample(model, partitions="full", **shared)
turned = sp.u_turn(model, levels=[4.0, 6.0, 8.0, 10.0, 14.0, 20.0], steps=(8, 16), **shared)
measured = sp.analysis.definitions(sp.entropy(runs, "full", "path"), turned)
figure = sp.plot.definitions(measured, exact)

rows = sp.plot.definitions(measured, exact, data=True)
name, first = rows[["definition", "exact"]].iloc[0]
other, last = rows[["definition", "exact"]].iloc[-1]
