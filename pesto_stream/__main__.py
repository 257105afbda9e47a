"""`python -m pesto_stream` is the same as the command `pesto-stream`."""

from pesto_stream.cli import main

if __name__ == "__main__":
    main()
