"""The peer's side. These scripts run in a virtual environment of their own (setup.sh), never in the project's."""
