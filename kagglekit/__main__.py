"""`python -m kagglekit` is the command `kagglekit`."""

from kagglekit.cli import main

raise SystemExit(main())
