"""One function for each thing a person can do.

Each reads in the same order: permission, transaction, fetch, refuse, act, record, return.
"""
