"""python -m purejaxrl_reinforce."""

import sys

from purejaxrl_reinforce.cli.main import main

sys.exit(main())
