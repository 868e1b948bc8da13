"""The console command: imports the command line where a Ctrl-C is a clean stop already."""

import sys


def main() -> None:
    try:
        from ui.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells have it


if __name__ == "__main__":
    main()
