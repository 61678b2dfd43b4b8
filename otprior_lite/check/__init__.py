"""Exercise checks: `check.<exercise>(answer)` says right or wrong, and hints at the likely slip.

The library is the answer key: right values and the values of common slips are computed, none is stored.
"""

from .back import *  # noqa: F403
from .budget import *  # noqa: F403
from .digits import *  # noqa: F403
from .dynamic import *  # noqa: F403
from .free_fix import *  # noqa: F403
from .gaps import *  # noqa: F403
from .giraffe import *  # noqa: F403
from .laguerre import *  # noqa: F403
from .pictures import *  # noqa: F403
from .rivals import *  # noqa: F403
from .schedules import *  # noqa: F403
from .transport import *  # noqa: F403
from .transported import *  # noqa: F403
from .verdict import Verdict, compare

__all__ = ["Verdict", "compare"]
