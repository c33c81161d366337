"""Work that outlives the request that asked for it: one durable queue for four kinds of job.

In: jobs, queued by routes and rooms in the transaction of what they belong to. Out: replicas, films, stored
recordings and delivered webhooks, and the state of each for the API. Imports the store, `cvi.endpoints`, and
in its child processes `cvi.training` and `cvi.rendering`.

Start at `queue` (the runner, and what a `JobHandler` is); `webhook_delivery`, `recording_upload`,
`render_job` and `training_job` are the kinds; `child` runs the last two in processes of their own.
"""
