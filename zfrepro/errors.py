"""The one error for what a user can mend: it is printed as a message, never as a traceback."""


class UserError(Exception):
    """Bad input. The message names the file or key and says what to do; the command exits with code 2."""
