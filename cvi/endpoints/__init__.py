"""HTTP clients for addresses that the program did not choose itself.

In: a URL that somebody else named, with a body to send or a file to fill. Out: the response, or an error with
a remedy. Imports only the ground (errors, files) and httpx. `endpoint_client` talks to the OpenAI-compatible
services of a persona, for stt, llm and tts (`address` has the rule for their base_url). `outbound` calls URLs
that strangers name and refuses those that lead into private networks.
"""
