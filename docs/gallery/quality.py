"""What does guidance do to the samples?

Of the {settings} guided settings, {clear} change the Fréchet distance by more than its 95 % interval, with 120 samples
each; recall lies between {least:.2f} and {most:.2f}.

Precision and accuracy stand beside them; the dashed line is unguided. It takes more samples to tell settings apart.
"""

import specent as sp

quality = sp.open("digits_guidance_quality.nc")
figure = sp.plot.quality(quality)

change = quality.sel(guidance=quality.guidance != "unguided")
settings = change.sizes["guidance"]
clear = int(((change.frechet_limit_difference_lower > 0) | (change.frechet_limit_difference_upper < 0)).sum())
least, most = quality.recall.min().item(), quality.recall.max().item()
