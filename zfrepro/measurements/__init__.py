"""Numbers with intervals, computed once from the outputs of stages, for exhibits and claims alike."""
