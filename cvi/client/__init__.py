"""A client of the server's API (and of Tavus's where both agree), and the check of a webhook's signature.

It imports nothing of cvi but the ground. Start with `client.py`.
"""

from cvi.client.client import Client, WebhookError, sign, verify

__all__ = ["Client", "WebhookError", "sign", "verify"]
