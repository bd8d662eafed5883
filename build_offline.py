# /// script
# requires-python = ">=3.11"
# dependencies = ["packaging>=24", "pip>=24.1", "uv>=0.13"]
# ///
"""Build the offline bundle for a Kaggle notebook from this checkout.

    uv run build_offline.py                     # uv brings what this needs
    python build_offline.py                     # after: pip install uv pip packaging

Neither torch nor kagglekit itself need to be installed. docs/offline.md tells the whole story,
docs/exit-codes.md what the status means.
"""

import argparse
import sys

MISSING_TOOL = 15


def main() -> int:
    """Run the command and return its status."""
    try:
        from kagglekit.errors import KagglekitError
        from kagglekit.offline import command
    except ModuleNotFoundError as error:
        print(
            f"error: the Python package `{error.name}` is missing\n"
            "hint: `pip install uv pip packaging`, or run `uv run build_offline.py`",
            file=sys.stderr,
        )
        return MISSING_TOOL
    parser = argparse.ArgumentParser(description=command.DESCRIPTION)
    command.add_arguments(parser)
    try:
        command.run(parser.parse_args(), print)
    except KagglekitError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:  # a full disk, a folder that may not be written
        print(f"error: {error}", file=sys.stderr)
        return KagglekitError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
