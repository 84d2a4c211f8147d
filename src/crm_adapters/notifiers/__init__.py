"""The channels that come with the program."""
