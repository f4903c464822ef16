"""Attribution beyond SQL: what needs a matrix (Markov) or many draws (intervals)."""
