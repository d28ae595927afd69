"""Results files: their records, and the numbers in their tables."""

import argparse
import json
import statistics


def arguments():
    """The paths of the results file and of the picture, if any."""
    a = argparse.ArgumentParser()
    a.add_argument("results")
    a.add_argument("--picture")
    return a.parse_args()


def records(path):
    """The records of a file with one JSON object per line."""
    return [json.loads(line) for line in open(path)]


def median(runs, key):
    """The median over the runs that have the key; None if no run has it."""
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def cell(value, form, scale=1):
    """A cell of a table; a dash for None."""
    return "–" if value is None else form.format(scale * value)


def ratio(a, b):
    """a / b; None if one is missing or zero."""
    return a / b if a and b else None
