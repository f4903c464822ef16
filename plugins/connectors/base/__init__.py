"""What every connector shares: streams, client, paging, landing."""
