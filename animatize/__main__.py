"""Starts the operator's command: `animatize`, or `python -m animatize`."""

from animatize.app import main

if __name__ == "__main__":
    main()
