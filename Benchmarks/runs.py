"""What a results file holds, and what the tables of it are made of."""

import argparse
import json
import statistics


def arguments():
    """The results file, and the picture of it, if any."""
    a = argparse.ArgumentParser()
    a.add_argument("results")
    a.add_argument("--picture")
    return a.parse_args()


def records(path):
    """One object a line."""
    return [json.loads(line) for line in open(path)]


def median(runs, key):
    """Of the runs that have it; None where none has."""
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def cell(value, form, scale=1):
    """A table's cell."""
    return "–" if value is None else form.format(scale * value)
