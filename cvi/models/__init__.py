"""Models, profiles and hardware: what can be installed, what is installed, what this machine should use.

In: names of models and profiles. Out: paths for engines, `Profile` with an engine for each layer, and the
doctor's report. Imports the ground and, by name, engines. Start reading at `profiles.resolve_profile`;
`manifest.yaml` lists the models.
"""
