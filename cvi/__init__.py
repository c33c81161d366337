"""A conversational video interface that runs on your own machine."""

__version__ = "0.2.0"
