"""python -m purejaxrl_reinforce."""

import sys

from purejaxrl_reinforce.cli import main

sys.exit(main())
