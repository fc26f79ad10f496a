"""Are coarse attributes of a picture decided before fine ones?

The background tone of a drawn picture is decided at a noise level of {background:.2f}, its shape at {shape:.2f}, its
texture at {texture:.2f} and a dot in its corner at {glyph:.2f}: coarse before fine.

The set of drawn pictures is its own exact model, so no network is in the answer.
"""

import specent as sp

profiles = sp.open("shapes_attributes.nc").sel(estimator=["exact"])
figure = sp.plot.entropy(profiles, axis="sigma", title="Coarse attributes are decided at higher noise")

background, shape, texture, glyph = sp.speciation(profiles, axis="sigma").half_entropy.values.flat
