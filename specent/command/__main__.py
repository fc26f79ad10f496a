"""``python -m specent.command``."""

import sys

from specent.command import main

sys.exit(main())
