"""The one error class that people see as a sentence."""


class InnervateError(Exception):
    """Something the user can mend: what is wrong, where, and what to do.

    Args:
        what: what is wrong, without a full stop.
        where: file, port, line, layer or option concerned; empty if there is no place.
        fix: what to do about it, without a full stop.
    """

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        place = f" ({where})" if where else ""
        remedy = f" {fix}." if fix else ""
        super().__init__(f"{what}{place}.{remedy}")
