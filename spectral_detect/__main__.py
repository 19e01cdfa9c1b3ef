"""`python -m spectral_detect`."""

from spectral_detect.cli import main

if __name__ == "__main__":
    main(prog_name="spectral-detect")
