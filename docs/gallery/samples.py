"""What does the model draw of each digit?

Samples that are guided with scale 2 differ within their class by {share:.0%} of what unguided ones from the same noise
do: at this scale no variety is lost.
"""

import specent as sp

runs = sp.open("digits.nc")
figure = sp.plot.samples(runs, most=5)

unguided, guided = runs.final.std("sample").mean(["class_label", "channel", "y", "x"]).values
share = guided / unguided
