"""`python -m edgesmith` is `edgesmith`."""

from edgesmith.cli import main

if __name__ == "__main__":
    main()
