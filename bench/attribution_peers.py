"""Runs in the peers' own environments: reads paths, prints what the peers make of them.

Not imported by anything; see `bench/attribution.py` and `bench/attribution_agreement.py`.
"""

import json
import sys
import time


def main() -> None:
    """`QUESTION FILE`: one line of JSON about the file's paths."""
    with open(sys.argv[2]) as file:  # noqa: PTH123
        paths = json.load(file)
    print(json.dumps(QUESTIONS[sys.argv[1]](paths)))


def speed(paths):
    """CPU seconds and credit of Markov, and CPU seconds of Shapley."""
    from ChannelAttribution import markov_model

    found = {}
    frame = with_nulls(paths)
    started = time.process_time()
    result = markov_model(frame, "path", "conversions", var_null="nulls", verbose=False)
    found["ChannelAttribution 2.2.5"] = {
        "markov": time.process_time() - started,
        "credit": dict(
            zip(result["channel_name"], result["total_conversions"], strict=True)
        ),
    }
    started = time.process_time()
    mam = dp6(paths)
    loaded = time.process_time() - started
    started = time.process_time()
    credit = by_channel(mam.run_markov().to_pandas())
    took = time.process_time() - started + loaded
    started = time.process_time()
    mam.run_shapley(max_size=4)
    found["DP6 2.1.1"] = {
        "markov": took,
        "shapley": time.process_time() - started + loaded,
        "credit": credit,
    }
    return found


def credit(paths):
    """Credit by channel of each model that the two packages of today have."""
    from ChannelAttribution import heuristic_models, markov_model

    frame = with_nulls(paths)
    rules = heuristic_models(frame, "path", "conversions", flg_pro=False)
    simulated = markov_model(
        frame, "path", "conversions", var_null="nulls", verbose=False, flg_pro=False
    )
    mam = dp6(paths)
    # its Markov model shares each path out by the removal effects of the channels
    split = by_channel(mam.run_markov().to_pandas())
    return {
        "ChannelAttribution 2.2.5": {
            "first_touch": pairs(rules, "channel_name", "first_touch"),
            "last_touch": pairs(rules, "channel_name", "last_touch"),
            "linear": pairs(rules, "channel_name", "linear_touch"),
            "markov": pairs(simulated, "channel_name", "total_conversions"),
        },
        "DP6 2.1.1": {
            "first_touch": by_channel(mam.run_first_click().to_pandas()),
            "last_touch": by_channel(mam.run_last_click().to_pandas()),
            "linear": by_channel(mam.run_linear().to_pandas()),
            "position_based": by_channel(mam.run_position_based().to_pandas()),
            "markov": split,
            "markov_split": split,
        },
    }


def credit_of_dp6_1(paths):
    """The same of DP6's last version before it was written anew."""
    import pandas
    from marketing_attribution_models import MAM

    frame = pandas.DataFrame(paths, columns=["path", "converted"])
    mam = MAM(frame, channels_colname="path", journey_with_conv_colname="converted")
    mam.attribution_first_click()
    mam.attribution_last_click()
    mam.attribution_linear()
    mam.attribution_position_based(list_positions_first_middle_last=[0.4, 0.2, 0.4])
    # else a path counts as often as it is worth, and those that convert nothing never
    mam.attribution_markov(conversion_value_as_frequency=False)
    credit = mam.group_by_channels_models
    return {
        "DP6 1.0.10": {
            model: pairs(credit, "channels", f"attribution_{theirs}")
            for model, theirs in (
                ("first_touch", "first_click_heuristic"),
                ("last_touch", "last_click_heuristic"),
                ("linear", "linear_heuristic"),
                ("position_based", "position_based_0.4_0.2_0.4_heuristic"),
                ("markov", "markov_algorithmic"),
            )
        }
    }


def with_nulls(paths):
    """The paths as ChannelAttribution reads them."""
    import pandas

    frame = pandas.DataFrame(paths, columns=["path", "converted"])
    frame["conversions"] = frame["converted"].astype(int)
    frame["nulls"] = 1 - frame["conversions"]
    return frame[["path", "conversions", "nulls"]]


def dp6(paths):
    """The paths as DP6 2.1.1 reads them."""
    import pandas
    from mam import MAM

    frame = pandas.DataFrame(paths, columns=["path", "converted"])
    frame["times"] = 1
    return MAM(
        frame, format_type="grouped_journey", channels_colname="path",
        journey_with_conv_colname="converted", occurrences_colname="times",
        path_separator=" > ",
    )  # fmt: skip


def by_channel(frame):
    """Credit by channel, of a frame whose first column is the channel."""
    return pairs(frame, frame.columns[0], frame.columns[-1])


def pairs(frame, names, values):
    """One column of a frame by another."""
    return {
        str(name): float(value)
        for name, value in zip(frame[names], frame[values], strict=True)
    }


QUESTIONS = {"speed": speed, "credit": credit, "credit of DP6 1": credit_of_dp6_1}

if __name__ == "__main__":
    main()
