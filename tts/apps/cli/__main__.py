"""`python -m tts.apps.cli VERB` is `glottis VERB`."""

import sys

from tts.apps.cli import main

sys.exit(main())
