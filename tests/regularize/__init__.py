"""Tests of generators and of the spectral loss; a package, so that its conftest.py does not hide that of all tests."""
