"""The one kind of error that is shown to users as a sentence."""


class InputError(Exception):
    """A fault of the input, configuration or machine that the user can mend.

    Its message names the value, where it came from and what to do. Entry scripts print it without a
    traceback; anything else that is raised is a fault of ours, and keeps its traceback.
    """
