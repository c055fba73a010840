"""An error the user can fix: it is printed as a message, never as a traceback."""


class UserError(Exception):
    """Bad input. The message names the file or key and what to do about it; the command exits with code 2."""
