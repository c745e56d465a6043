"""Tests of flags and OpenFeature."""
