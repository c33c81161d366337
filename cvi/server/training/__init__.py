"""Replicas ordered through the API, made one after the other by the pipeline of `cvi train-replica`."""
