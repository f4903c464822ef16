"""Runs in the peers' own environment: reads paths, prints their CPU seconds and credit.

Not imported by anything; see `bench/attribution.py`.
"""

import json
import sys
import time


def main() -> None:
    """Both packages on the file's paths; one line of JSON."""
    import pandas
    from ChannelAttribution import markov_model
    from mam import MAM

    paths = json.load(open(sys.argv[1]))  # noqa: PTH123, SIM115
    found = {}

    frame = pandas.DataFrame(paths, columns=["path", "converted"])
    frame["conversions"] = frame["converted"].astype(int)
    frame["nulls"] = 1 - frame["conversions"]
    started = time.process_time()
    result = markov_model(
        frame[["path", "conversions", "nulls"]], "path", "conversions",
        var_null="nulls", verbose=False,
    )  # fmt: skip
    found["ChannelAttribution 2.2.5"] = {
        "markov": time.process_time() - started,
        "credit": dict(
            zip(result["channel_name"], result["total_conversions"], strict=True)
        ),
    }
    frame["times"] = 1
    started = time.process_time()
    mam = MAM(
        frame[["path", "converted", "times"]], format_type="grouped_journey",
        channels_colname="path", journey_with_conv_colname="converted",
        occurrences_colname="times", path_separator=" > ",
    )  # fmt: skip
    loaded = time.process_time() - started
    started = time.process_time()
    credit = mam.run_markov().to_pandas()
    took = time.process_time() - started + loaded
    started = time.process_time()
    mam.run_shapley(max_size=4)
    names = credit.columns
    found["DP6 2.1.1"] = {
        "markov": took,
        "shapley": time.process_time() - started + loaded,
        "credit": {
            str(name): float(value)
            for name, value in zip(credit[names[0]], credit[names[-1]], strict=True)
        },
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
