"""An explorer of archives in the browser: partitions are chosen, and what follows from them is shown at once.

`specent explore` serves it on this machine, `explore` shows it in a notebook. The parts: what is looked at
(`specent.explorer.state`), what an archive offers (`specent.explorer.source`), the numbers
(`specent.explorer.computing`), the figures (`specent.explorer.views`), and the application that joins them. The
numbers are those of `specent.entropy`, and the figures those of `specent.plotting`.
"""

from specent.explorer.serving import explore as explore
from specent.explorer.serving import serve as serve

__all__ = ["explore", "serve"]
