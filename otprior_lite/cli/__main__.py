"""`python -m otprior_lite.cli` is `otprior`; torchrun starts it so."""

import sys

from . import main

if __name__ == "__main__":
    sys.exit(main())
